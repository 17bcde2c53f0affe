//! Every check, in the order in which they are asked: a file a group.

mod binary;
mod extensions;
mod grpc;
mod grpc_mistakes;
mod health;
mod infer;
mod metadata;
mod mistakes;
mod robustness;
mod transport;

use super::verdict::Check;

pub(super) fn all() -> Vec<Check> {
    let groups = [
        health::checks(),
        metadata::checks(),
        infer::checks(),
        mistakes::checks(),
        binary::checks(),
        transport::checks(),
        extensions::checks(),
        grpc::checks(),
        grpc_mistakes::checks(),
        robustness::checks(),
    ];
    groups.into_iter().flatten().collect()
}
