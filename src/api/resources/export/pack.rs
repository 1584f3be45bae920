//! Compression of exports.

use std::io::Write as _;
use std::mem;

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptEncoding, Encoding, Header as _};
use flate2::write::GzEncoder;

use super::query::{FileQuery, Packing};
use crate::api::query::invalid::invalid;
use crate::api::query::words::OneOf;
use crate::problem::Problem;

/// Compression of a file, or of its way to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) packing: Packing,
    /// True for a compressed file, also by its name.
    pub(super) file: bool,
}

impl Packed {
    /// No packing.
    pub(super) const NOT: Self = Self { packing: Packing::None, file: false };

    /// Returns the packing of a response: of the file itself by `compression`, or of its way to the
    /// client by `Accept-Encoding`.
    pub(super) fn of_request(req: &HttpRequest, file: &FileQuery) -> Self {
        if let Some(OneOf(packing)) = file.compression {
            return Self { packing, file: packing != Packing::None };
        }
        let known = [Encoding::identity(), Encoding::zstd(), Encoding::gzip()];
        // A malformed header is ignored.
        let chosen = AcceptEncoding::parse(req).ok().and_then(|it| it.negotiate(known.iter()));
        let packing = match chosen {
            Some(chosen) if chosen == Encoding::zstd() => Packing::Zstd,
            Some(chosen) if chosen == Encoding::gzip() => Packing::Gzip,
            _ => Packing::None,
        };
        Self { packing, file: false }
    }

    /// Returns no packing, for a format that is compressed inside.
    pub(super) fn inside(file: &FileQuery) -> Result<Self, Problem> {
        match file.compression {
            None | Some(OneOf(Packing::None)) => Ok(Self::NOT),
            Some(_) => {
                Err(invalid("compression", "is for jsonl and csv; Parquet is packed inside"))
            }
        }
    }

    /// Returns the value of `Content-Encoding`, if the answer has one.
    pub(super) fn encoding(self) -> Option<&'static str> {
        match self.packing {
            Packing::Gzip if !self.file => Some("gzip"),
            Packing::Zstd if !self.file => Some("zstd"),
            _ => None,
        }
    }

    /// Returns the media type and extension of a compressed file.
    pub(super) fn outer(self) -> Option<(&'static str, &'static str)> {
        match self.packing {
            Packing::Gzip if self.file => Some(("application/gzip", ".gz")),
            Packing::Zstd if self.file => Some(("application/zstd", ".zst")),
            _ => None,
        }
    }
}

/// Compressor.
pub(super) enum Packer {
    None,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Packer {
    pub(super) fn new(packing: Packing) -> std::io::Result<Self> {
        Ok(match packing {
            Packing::None => Self::None,
            Packing::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
            Packing::Zstd => {
                Self::Zstd(zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
        })
    }

    /// Compresses bytes and flushes: a client that continues after an interruption has every row that
    /// was sent before.
    pub(super) fn pack(&mut self, bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Gzip(packer) => {
                packer.write_all(&bytes)?;
                packer.flush()?;
                Ok(mem::take(packer.get_mut()))
            }
            Self::Zstd(packer) => {
                packer.write_all(&bytes)?;
                packer.flush()?;
                Ok(mem::take(packer.get_mut()))
            }
        }
    }

    /// Returns the last bytes.
    pub(super) fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Gzip(packer) => packer.finish(),
            Self::Zstd(packer) => packer.finish(),
        }
    }
}
