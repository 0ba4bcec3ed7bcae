//! One file or folder for each command.

pub(crate) mod autoregressive;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod detector;
pub(crate) mod efficientnet;
pub(crate) mod flow;
pub(crate) mod gan;
pub(crate) mod graph;
pub(crate) mod info;
pub(crate) mod make;
pub(crate) mod man;
pub(crate) mod rnn;
pub(crate) mod serve;
pub(crate) mod sql;
pub(crate) mod tokenizer;
pub(crate) mod tour;
pub(crate) mod transport;
pub(crate) mod vae;
pub(crate) mod word2vec;
