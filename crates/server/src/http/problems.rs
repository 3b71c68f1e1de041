// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /problems/{name}`: what a problem's type means, and what to do.

use axum::http::Uri;

use super::gate;
use super::problem::{Problem, ProblemKind};

/// Answers with a few lines about one type of problem.
pub(crate) async fn page(uri: Uri) -> Result<String, Problem> {
    let kind = ProblemKind::ALL.iter().find(|kind| kind.uri() == uri.path());
    let Some(kind) = kind else {
        return Err(gate::no_such_path().await);
    };
    Ok(format!("{}: {}\n{}\n", kind.status(), kind.title(), kind.remedy()))
}
