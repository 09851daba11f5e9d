//! Whether a buddy talks to its master alone: others stand in the master's place, with certificates
//! that are not to be believed, and see what they are told.

use std::sync::Arc;

use super::{
    TRUST,
    server::What,
    stage::Stage,
    tls::{Face, Faces, Shaken},
};
use crate::conformance::BuddyArgs;

/// Who stands in the master's place.
const IMPOSTORS: [(Face, &str); 2] = [
    (Face::Stranger, "a master whose certificate is not signed by the authority in {ca}"),
    (Face::OtherName, "a master whose certificate is for another name"),
];

/// What the played master knows of its connections; nothing happens to it where TLS is not spoken.
#[derive(Default)]
pub(super) struct Guard {
    faces: Option<Arc<Faces>>,
    /// Who stands in the master's place.
    impostor: Option<&'static str>,
    /// Whether somebody has tried to connect, since the buddy was started.
    pub(super) tried: bool,
    /// Why the newest handshake failed.
    trouble: Option<String>,
}

impl Guard {
    pub(super) fn new(faces: Option<Arc<Faces>>) -> Self {
        Self { faces, ..Self::default() }
    }

    /// The buddy is started.
    pub(super) fn forget(&mut self) {
        (self.tried, self.trouble) = (false, None);
    }

    /// Looks at what happened; what is wrong with it.
    pub(super) fn wrong_with(&mut self, what: &What) -> Option<String> {
        let What::Shaken(shaken) = what else {
            let impostor = self.impostor?;
            let told = "which can tell it what it likes now";
            return Some(format!("the buddy opened a stream to {impostor}, {told}"));
        };
        self.tried = true;
        self.trouble = shaken.trouble().map(str::to_owned);
        match shaken {
            Shaken::NoTls(error) => Some(format!("what the buddy sends is no TLS: {error}")),
            Shaken::Done | Shaken::Refused(_) => None,
        }
    }

    /// The end of a sentence on a buddy that does not come.
    pub(super) fn state(&self) -> String {
        match &self.trouble {
            Some(error) => format!("; the last TLS handshake failed: {error}"),
            None => String::new(),
        }
    }

    fn stand_in(&mut self, face: Face, impostor: Option<&'static str>) {
        self.impostor = impostor;
        if let Some(faces) = &self.faces {
            faces.show(face);
        }
    }
}

/// Lets each impostor have his turn.
pub(super) async fn all(stage: &mut Stage, args: &BuddyArgs) -> anyhow::Result<()> {
    let timeout = args.common.timeout;
    for (face, impostor) in IMPOSTORS {
        stage.guard.stand_in(face, Some(impostor));
        stage.start()?;
        if !stage.until(timeout, |stage| stage.guard.tried).await {
            let state = stage.state();
            let what = format!("no connection came within {timeout:?}: {state}");
            stage.report.fail(TRUST, what);
            break;
        }
        stage.until(args.common.quiet, |stage| stage.report.failed(TRUST)).await;
    }
    stage.stop();
    stage.guard.stand_in(Face::Master, None);
    stage.report.pass(TRUST);
    Ok(())
}
