//! What others' tools find on the port for buddies.

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::Master;

async fn channel(master: &Master) -> Channel {
    Endpoint::from_shared(master.grpc_url()).unwrap().connect().await.unwrap()
}

/// The first answer of a reflection stream to one question.
async fn ask(master: &Master, question: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(channel(master).await);
    let request = ServerReflectionRequest { message_request: Some(question), ..Default::default() };
    let requests = tonic::Request::new(tokio_stream::iter([request]));
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap().message_response.unwrap()
}

/// `grpcurl list` and `describe` work, and a load balancer's check says that it serves.
#[tokio::test(flavor = "multi_thread")]
async fn reflection_and_health_answer() {
    let master = Master::start(&[]);
    let list = ask(&master, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = list else { panic!("{list:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"heapster.v1.Heapster"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
    let symbol = MessageRequest::FileContainingSymbol("heapster.v1.Heapster".to_owned());
    let described = ask(&master, symbol).await;
    assert!(matches!(described, MessageResponse::FileDescriptorResponse(_)), "{described:?}");

    let mut health = HealthClient::new(channel(&master).await);
    for service in ["", "heapster.v1.Heapster"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status().as_str_name(), "SERVING", "{service:?}");
    }
}
