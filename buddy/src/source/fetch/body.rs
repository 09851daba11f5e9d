//! Bodies of answers, and the buffers that they are read into: lent to an answer while it is read
//! and used, and then to the next, so that a poll neither asks for memory nor touches it anew.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

/// The first read of an answer has at least this much room; heads of answers have to fit.
pub(super) const SMALLEST_BUFFER: usize = 16 << 10;
/// A buffer that grew larger than this is not kept.
const LARGEST_KEPT: usize = 4 << 20;
/// All the buffers that are kept have no more than this together.
const KEPT_BYTES: usize = 8 << 20;
/// No more buffers than this are kept: about as many as answers that arrive at the same time.
const KEPT_BUFFERS: usize = 32;

/// Buffers that wait for an answer.
#[derive(Default)]
pub(super) struct Buffers {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// An empty buffer with some room; the one that was used last, whose memory is the warmest.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(buffer) = kept.buffers.pop() else {
            drop(kept);
            return Vec::with_capacity(SMALLEST_BUFFER);
        };
        kept.bytes -= buffer.capacity();
        buffer
    }

    /// Keeps a buffer for the next answer, or frees it.
    pub(super) fn put(&self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if !(SMALLEST_BUFFER..=LARGEST_KEPT).contains(&bytes) {
            return;
        }
        buffer.clear();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.buffers.len() < KEPT_BUFFERS && kept.bytes + bytes <= KEPT_BYTES {
            kept.bytes += bytes;
            kept.buffers.push(buffer);
        }
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

/// The text of an answer. Borrow from it; dropping it gives its memory to the next answer.
#[derive(Default)]
pub struct Body {
    text: String,
    buffers: Option<Arc<Buffers>>,
}

impl Body {
    /// The body that fills a buffer.
    ///
    /// # Errors
    /// The number of bytes that are UTF-8, when others follow.
    pub(super) fn new(bytes: Vec<u8>, buffers: &Arc<Buffers>) -> Result<Self, usize> {
        let text = String::from_utf8(bytes).map_err(|error| error.utf8_error().valid_up_to())?;
        Ok(Self { text, buffers: Some(Arc::clone(buffers)) })
    }
}

impl From<String> for Body {
    /// A text that did not come in an answer.
    fn from(text: String) -> Self {
        Self { text, buffers: None }
    }
}

impl Deref for Body {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(buffers) = &self.buffers {
            buffers.put(std::mem::take(&mut self.text).into_bytes());
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_dropped_body_serves_the_next() {
        let buffers = Arc::<Buffers>::default();
        let mut buffer = buffers.take();
        buffer.extend_from_slice(&vec![b'x'; 200_000]);
        let body = Body::new(buffer, &buffers).unwrap();
        assert_eq!(body.len(), 200_000);
        drop(body);
        let again = buffers.take();
        assert!(again.is_empty() && again.capacity() >= 200_000);
        assert_eq!(buffers.take().capacity(), SMALLEST_BUFFER);
    }

    /// However many answers come at once, and however large, what stays is bounded.
    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = Buffers::default();
        buffers.put(Vec::with_capacity(LARGEST_KEPT + 1));
        buffers.put(Vec::with_capacity(16));
        assert!(buffers.kept.lock().unwrap().buffers.is_empty());
        for _ in 0..100 {
            buffers.put(Vec::with_capacity(1 << 20));
        }
        assert!(buffers.kept.lock().unwrap().bytes <= KEPT_BYTES);
        let buffers = Buffers::default();
        for _ in 0..100 {
            buffers.put(Vec::with_capacity(SMALLEST_BUFFER));
        }
        assert_eq!(buffers.kept.lock().unwrap().buffers.len(), KEPT_BUFFERS);
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        assert_eq!(Body::new(b"ab\xffc".to_vec(), &Arc::default()).unwrap_err(), 2);
    }
}
