//! What can go to other threads, and be shared among them.

fn goes<T: Send>() {}
fn is_shared<T: Send + Sync>() {}

#[test]
fn data_and_models_without_tensors_are_shared_and_all_models_go() {
    is_shared::<dozen::data::Table>();
    is_shared::<dozen::data::Schema>();
    is_shared::<dozen::data::Matrix>();
    is_shared::<dozen::data::DataError>();
    is_shared::<dozen::nn::Error>();
    is_shared::<dozen::nn::History>();
    is_shared::<dozen::nn::TrainingRecord>();
    is_shared::<dozen::text::Tokenizer>();
    is_shared::<dozen::text::word2vec::WordVectors>();
    is_shared::<dozen::graph::Graph<f64>>();
    is_shared::<dozen::vision::detection::DetectionSet>();
    is_shared::<dozen::generative::flow::Config>();
    goes::<dozen::Model>();
    goes::<dozen::generative::flow::Model>();
    goes::<dozen::sequence::Model>();
    goes::<dozen::vision::efficientnet::Model>();
    goes::<dozen::vision::detector::Model>();
}
