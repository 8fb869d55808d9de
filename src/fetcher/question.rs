//! What is asked of a fetcher, and where the answer goes.

use tokio::sync::oneshot;

use super::wire::{Ask, Given, What};
use crate::providers::{Fetched, Lease, LoginState, Mint, ProviderError};
use crate::reference::Reference;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, ProviderError>>;

/// A question to one provider.
pub(super) enum Question {
    Fetch(Reference, Mint, Reply<Fetched>),
    List(Reference, u32, Reply<Vec<String>>),
    LogIn(String, Reply<()>),
    LoginState(String, Reply<LoginState>),
    Renew(String, Lease, Reply<Lease>),
    /// Without a reply: of what was made for somebody who has given up.
    Revoke(String, String, Option<Reply<()>>),
}

impl Question {
    pub(super) fn ask(&self, id: u64) -> Ask {
        let (provider, what) = match self {
            Self::Fetch(reference, mint, _) => {
                (reference.provider(), What::Fetch { reference: reference.to_string(), mint: *mint })
            }
            Self::List(reference, depth, _) => {
                (reference.provider(), What::List { reference: reference.to_string(), depth: *depth })
            }
            Self::LogIn(provider, _) => (provider.as_str(), What::LogIn),
            Self::LoginState(provider, _) => (provider.as_str(), What::LoginState),
            Self::Renew(provider, lease, _) => (provider.as_str(), What::Renew(lease.clone())),
            Self::Revoke(provider, handle, _) => (provider.as_str(), What::Revoke(handle.clone())),
        };
        Ask::Provider { id, provider: provider.to_owned(), what }
    }

    /// Hands on the answer. Gives back a value that nobody waits for any more.
    pub(super) fn answer(self, answer: Result<Given, ProviderError>) -> Option<Fetched> {
        match (self, answer) {
            (question, Err(error)) => question.fail(error),
            (Self::Fetch(_, _, reply), Ok(Given::Value(value))) => {
                return reply.send(Ok(value.0)).err().and_then(Result::ok);
            }
            (Self::List(_, _, reply), Ok(Given::List(names))) => drop(reply.send(Ok(names))),
            (Self::LogIn(_, reply), Ok(Given::Done)) => drop(reply.send(Ok(()))),
            (Self::LoginState(_, reply), Ok(Given::LoginState(state))) => drop(reply.send(Ok(state))),
            (Self::Renew(_, _, reply), Ok(Given::Renewed(lease))) => drop(reply.send(Ok(lease))),
            (Self::Revoke(_, _, reply), Ok(Given::Done)) => drop(reply.map(|reply| reply.send(Ok(())))),
            (question, Ok(_)) => {
                question.fail(ProviderError::Malformed("the fetcher answered something else".into()));
            }
        }
        None
    }

    pub(super) fn fail(self, error: ProviderError) {
        match self {
            Self::Fetch(_, _, reply) => drop(reply.send(Err(error))),
            Self::List(_, _, reply) => drop(reply.send(Err(error))),
            Self::LogIn(_, reply) => drop(reply.send(Err(error))),
            Self::LoginState(_, reply) => drop(reply.send(Err(error))),
            Self::Renew(_, _, reply) => drop(reply.send(Err(error))),
            Self::Revoke(_, _, Some(reply)) => drop(reply.send(Err(error))),
            Self::Revoke(_, handle, None) => {
                tracing::warn!(lease = handle, "what nobody waits for any more cannot be revoked: {error}");
            }
        }
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Fetch(_, _, reply) => reply.is_closed(),
            Self::List(_, _, reply) => reply.is_closed(),
            Self::LogIn(_, reply) => reply.is_closed(),
            Self::LoginState(_, reply) => reply.is_closed(),
            Self::Renew(_, _, reply) => reply.is_closed(),
            // It is to be done in any case.
            Self::Revoke(..) => false,
        }
    }

    /// Whether it must be done before the fetcher may end.
    pub(super) fn is_revocation(&self) -> bool {
        matches!(self, Self::Revoke(..))
    }
}
