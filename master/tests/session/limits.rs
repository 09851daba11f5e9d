//! What the master does with buddies that send too much, or what does not follow the protocol.

use heapster_master::status::StatusSource;
use heapster_proto::v1::{
    block::Form::{Absolute, Difference},
    delivery::Outcome as Answer,
};
use tonic::Code as Grpc;

use super::{
    frames::{self, CONTAINER, MEASURED, POD, SUMMED, batch, container, row},
    harness::{Mode, eventually, with_master},
};

#[test]
fn credit_bounds_what_is_under_way_and_comes_back() {
    with_master(&["--credit-bytes", "2KiB"], async |bench| {
        let buddy = bench.buddy().await;
        bench.required.set(Mode::Hold);
        let mut ingest = buddy.stream(0).await;
        let mut sequence = 0;
        // Far more than two kibibytes, without waiting for credit.
        while sequence < 200 && !ingest.frames.is_closed() {
            sequence += 1;
            ingest.send(sequence, container(sequence)).await;
        }
        let status = ingest.end().await;
        assert_eq!(status.code(), Grpc::ResourceExhausted, "{status:?}");
        assert!(status.message().contains("credit"), "{status:?}");
        bench.required.release();

        let mut patient = buddy.stream(0).await;
        let mut credit_used = 0;
        for n in 1..=3 {
            patient.send(n, container(n)).await;
            patient.answered(n).await;
            credit_used += 1;
        }
        eventually("credit comes back", async || {
            patient.receive().await.unwrap();
            patient.credit > 2048 + 100
        })
        .await;
        assert_eq!(credit_used, 3);
    });
}

#[test]
fn what_does_not_follow_the_protocol_ends_the_stream_and_says_where() {
    with_master(&["--max-frame-bytes", "64KiB"], async |bench| {
        let buddy = bench.buddy().await;
        let stranger = row(MEASURED, 77, Absolute, [1, 2]);
        let mut ingest = buddy.stream(0).await;
        ingest.send(1, batch(1, vec![stranger])).await;
        let status = ingest.end().await;
        assert_eq!(status.code(), Grpc::InvalidArgument);
        let wanted = "frame 3 (sequence 1): block 0: entity 77 is not defined in this segment";
        assert_eq!(status.message(), wanted);
        assert_eq!(bench.status.buddies().await[0].last_error, wanted);

        let mut ingest = buddy.stream(0).await;
        ingest.send(1, container(1)).await;
        ingest.send(3, container(2)).await;
        assert!(ingest.end().await.message().contains("the sequence after 1"));

        let mut unopened = buddy.ingest().await;
        unopened.send(0, frames::define()).await;
        assert_eq!(unopened.end().await.code(), Grpc::InvalidArgument);

        let mut unknown = buddy.ingest().await;
        unknown.session_id = "lab/00000000".into();
        unknown.open(0).await;
        assert_eq!(unknown.end().await.code(), Grpc::Unauthenticated);

        let mut large = buddy.stream(0).await;
        let many = (0..10_000).map(|_| row(MEASURED, CONTAINER, Absolute, [1, 2])).collect();
        large.send(1, batch(1, many)).await;
        let status = large.end().await;
        assert_eq!(status.code(), Grpc::ResourceExhausted, "{status:?}");
        assert!(status.message().contains("max_frame_bytes"), "{status:?}");
    });
}

/// One bad row costs itself.
#[test]
fn a_row_that_cannot_be_read_is_refused_alone() {
    with_master(&[], async |bench| {
        let buddy = bench.buddy().await;
        let mut ingest = buddy.stream(0).await;
        let blocks = vec![
            row(MEASURED, CONTAINER, Difference, [1, 2]),
            row(SUMMED, POD, Absolute, [500, 400]),
        ];
        ingest.send(1, batch(1, blocks)).await;
        let answer = ingest.answered(1).await;
        assert_eq!(answer.outcome(), Answer::Delivered);
        assert_eq!(answer.rejected_entities, [CONTAINER]);
        assert!(answer.message.contains("without a row before"), "{}", answer.message);
        assert_eq!(bench.required.rows()[0].row_count(), 1);
        assert_eq!(bench.status.clusters().await[0].rejected_rows, 1);
    });
}
