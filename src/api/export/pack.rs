//! Compression of what is sent.

use std::io::Write as _;
use std::mem;

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptEncoding, Encoding, Header as _};
use flate2::write::GzEncoder;

use crate::api::params::{Params, invalid};
use crate::problem::Problem;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = Packing, rename_all = "lowercase")]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

/// What is packed: the file itself, or only its way to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) packing: Packing,
    /// The file is a compressed one, by its name too.
    pub(super) file: bool,
}

impl Packed {
    /// As it is, for formats that are packed inside.
    pub(super) const NOT: Self = Self { packing: Packing::None, file: false };

    /// What a request asks for: by `compression` a file that is compressed, by `Accept-Encoding`
    /// one that is compressed on its way.
    pub(super) fn wanted(req: &HttpRequest, params: &Params) -> Result<Self, Problem> {
        let choices = [("none", Packing::None), ("gzip", Packing::Gzip), ("zstd", Packing::Zstd)];
        if let Some(packing) = params.choice("compression", &choices)? {
            return Ok(Self { packing, file: packing != Packing::None });
        }
        let known = [Encoding::identity(), Encoding::zstd(), Encoding::gzip()];
        // A header that is malformed is as good as none.
        let chosen = AcceptEncoding::parse(req).ok().and_then(|it| it.negotiate(known.iter()));
        let packing = match chosen {
            Some(chosen) if chosen == Encoding::zstd() => Packing::Zstd,
            Some(chosen) if chosen == Encoding::gzip() => Packing::Gzip,
            _ => Packing::None,
        };
        Ok(Self { packing, file: false })
    }

    /// The same for a format that is packed inside, and has no second one around it.
    pub(super) fn refused(params: &Params) -> Result<Self, Problem> {
        match params.text("compression") {
            None | Some("none") => Ok(Self::NOT),
            Some(_) => {
                Err(invalid("compression", "is for jsonl and csv; Parquet is packed inside"))
            }
        }
    }

    /// The name for the header `Content-Encoding`, where it is due.
    pub(super) fn encoding(self) -> Option<&'static str> {
        match self.packing {
            Packing::Gzip if !self.file => Some("gzip"),
            Packing::Zstd if !self.file => Some("zstd"),
            _ => None,
        }
    }

    /// The media type and extension of a file that is compressed.
    pub(super) fn outer(self) -> Option<(&'static str, &'static str)> {
        match self.packing {
            Packing::Gzip if self.file => Some(("application/gzip", ".gz")),
            Packing::Zstd if self.file => Some(("application/zstd", ".zst")),
            _ => None,
        }
    }
}

/// Packs bytes as they come.
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

    /// Takes bytes in, and gives out what is ready. Each time all of it is: a client that goes on
    /// where it was cut off has every row that was sent before.
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

    /// The end.
    pub(super) fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Gzip(packer) => packer.finish(),
            Self::Zstd(packer) => packer.finish(),
        }
    }
}
