//! Loading and unloading models: Triton's repository extension.

use super::{
    call::Call,
    describe::read,
    frames::{Messages, framed},
    messages::RepositoryChange,
};
use crate::http::{
    loading::{Again, NotLoaded},
    repository,
};
use axum::{body::Bytes, http::HeaderMap};
use futures_util::TryFutureExt;
use mlops_core::{Error, Result};

const LOAD: &str = "RepositoryModelLoad";
const UNLOAD: &str = "RepositoryModelUnload";

/// The methods here.
pub(super) const METHODS: [&str; 2] = [LOAD, UNLOAD];

/// Does what one of [`METHODS`] asks for, if whoever has these headers may; the answer says nothing.
pub(super) async fn change(
    call: &Call,
    method: &str,
    headers: &HeaderMap,
    messages: &mut Messages,
) -> Result<Bytes> {
    let service = &call.service;
    let loading = service.loading_for(headers)?;
    let message = call.in_time(messages.only()).await?;
    let asked: RepositoryChange = read(&message.bytes)?;
    drop(message);
    if !asked.repository_name.is_empty() {
        return Err(Error::unsupported("there is one repository here, and it has no name"));
    }
    repository::check_parameters(asked.parameters.iter().map(|parameter| &parameter.key))?;
    let name = &*asked.model_name;
    service.refuse_own(name)?;
    if method == LOAD {
        let loaded = loading.load(name, None, Again::Replace).map_err(NotLoaded::into_error);
        call.in_callers_time(loaded).await?;
    } else {
        loading.unload(name)?;
    }
    framed(&(), call.answers_gzip)
}
