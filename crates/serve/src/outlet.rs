//! The way in for what comes neither over HTTP nor on a topic of ours: rows of files, records of other people's topics, and
//! what was set aside once and is taken again.

use std::sync::Arc;

use musubi_channels::Taken;
use musubi_log::Append;
use musubi_schema::Parser;

use crate::cluster::Cluster;
use crate::collect::Refusal;
use crate::entrance::Entrance;
use crate::sources::write;
use crate::{Deployment, Error, clock, directives};

/// What was taken of one row, record or item, and where that stood.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What it became.
    pub taken: Taken,
    /// The file that it stood in, where it was one.
    pub file: Option<Arc<str>>,
    /// Its row in that file, counted from 1.
    pub row: Option<u64>,
}

/// What became of pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// Touchpoints and directives that are on their topics.
    pub accepted: u64,
    /// What is in the quarantine.
    pub quarantined: u64,
}

/// The way into a log, with no door before it.
pub struct Outlet {
    entrance: Entrance,
}

impl Outlet {
    /// The way into a directory that no other process has open. What is put there is stitched when it is next served.
    pub fn of_deployment(deployment: &Deployment) -> Self {
        Self { entrance: deployment.entrance() }
    }

    /// The way into the topics of a cluster.
    ///
    /// # Errors
    /// [`Error::Topics`], [`Error::Log`].
    pub fn of_cluster(cluster: &Cluster) -> Result<Self, Error> {
        Ok(Self { entrance: cluster.entrance()? })
    }

    /// Puts touchpoints on their topic and what was set aside into the quarantine, with the file and the row where it
    /// stood, and comes back when all of it is durable.
    ///
    /// # Errors
    /// [`Error::Log`]. Some of it may be there then; to put it again makes copies, which the stitcher knows by their event
    /// ids.
    pub fn put(&self, pieces: Vec<Piece>) -> Result<Put, Error> {
        let (now, mut put) = (clock::now(), Put::default());
        let mut appends: Vec<Append> = Vec::with_capacity(pieces.len());
        for Piece { mut taken, file, row } in pieces {
            let origin = write::Origin { file: file.as_deref(), line: row };
            appends.extend(write::appends(&self.entrance, &mut taken, origin, now).map_err(failed)?);
            put.accepted += taken.touchpoints.len() as u64;
            put.quarantined += taken.set_aside.len() as u64;
        }
        self.entrance.log.append(appends)?;
        Ok(put)
    }

    /// Puts a directive, a line of JSON, on its topic.
    ///
    /// # Errors
    /// [`Error::Log`]; [`Error::System`] with what is wrong with the directive.
    pub fn direct(&self, line: &[u8]) -> Result<Put, Error> {
        let appends = directives::appends(&self.entrance, &mut Parser::new(), line, clock::now());
        let appends = appends.map_err(|refusal| match refusal {
            Refusal::Failed(problem) => failed(problem),
            Refusal::Aside(aside) => {
                Error::System(std::io::Error::other(format!("{}: {}", aside.reason, aside.detail)))
            }
        })?;
        self.entrance.log.append(appends)?;
        Ok(Put { accepted: 1, quarantined: 0 })
    }
}

fn failed(problem: crate::problem::Problem) -> Error {
    Error::System(std::io::Error::other(problem.detail().to_owned()))
}
