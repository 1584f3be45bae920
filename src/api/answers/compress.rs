//! Compression of whole answers, as the client accepts it. Exports compress themselves, and events of
//! a stream must not wait for each other.

use std::io;
use std::io::Write as _;

use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, Encoding, Header as _, HeaderValue, VARY,
};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use flate2::write::GzEncoder;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Smallest answer that is compressed: a smaller one fits into a packet anyway.
const SMALLEST_BYTES: u64 = 1 << 10;
/// Largest answer that is compressed on the connection's thread, in half a millisecond: passing a
/// small one to another thread takes as long.
const IN_PLACE_BYTES: usize = 16 << 10;
/// Larger answers that are compressed at once. A further one is sent uncompressed, so that it does not
/// wait and deliveries keep a part of the processor.
const MAX_AT_ONCE: usize = 4;
static SEATS: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
/// Compresses as well as gzip's best level, faster than its default one.
const BROTLI_QUALITY: u32 = 4;
/// Window of 256 KiB: a larger one would cost memory for each answer and help few.
const BROTLI_WINDOW_BITS: u32 = 18;
const BROTLI_BUFFER_BYTES: usize = 4 << 10;

/// Coding of a compressed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

/// Compresses an answer if its client accepts that.
pub(crate) async fn compress(req: &HttpRequest, mut answer: HttpResponse) -> HttpResponse {
    if !can_vary(&answer) {
        return answer;
    }
    let coding = match answer.body().size() {
        BodySize::Sized(size) if size >= SMALLEST_BYTES => Coding::wanted(req),
        _ => None,
    };
    answer.headers_mut().append(VARY, ACCEPT_ENCODING);
    let Some(coding) = coding else { return answer };
    let (mut head, body) = answer.into_parts();
    let body = match body.try_into_bytes() {
        Ok(bytes) => match coding.compress(bytes.clone()).await {
            Some(compressed) => {
                head.headers_mut().insert(CONTENT_ENCODING, coding.name());
                BoxBody::new(compressed)
            }
            None => BoxBody::new(bytes),
        },
        Err(body) => body,
    };
    head.set_body(body)
}

/// Returns true for an answer that could be compressed, and for 304.
fn can_vary(response: &HttpResponse) -> bool {
    let headers = response.headers();
    if response.status() == StatusCode::NOT_MODIFIED {
        return true;
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_text = content_type.is_some_and(|name| {
        let is_stream = name.starts_with("text/event-stream");
        name.starts_with("application/json") || name.starts_with("text/") && !is_stream
    });
    let is_whole = matches!(response.body().size(), BodySize::Sized(_));
    response.status() == StatusCode::OK
        && is_text
        && is_whole
        && !headers.contains_key(CONTENT_ENCODING)
}

impl Coding {
    /// Returns the coding that the request prefers; the first of equally preferred ones.
    fn wanted(req: &HttpRequest) -> Option<Self> {
        let known = [Encoding::identity(), Encoding::zstd(), Encoding::brotli(), Encoding::gzip()];
        // A malformed header is ignored.
        let accepted = AcceptEncoding::parse(req).ok()?;
        let chosen = accepted.negotiate(known.iter())?;
        [Self::Zstd, Self::Brotli, Self::Gzip].into_iter().find(|each| each.encoding() == chosen)
    }

    fn encoding(self) -> Encoding {
        match self {
            Self::Gzip => Encoding::gzip(),
            Self::Brotli => Encoding::brotli(),
            Self::Zstd => Encoding::zstd(),
        }
    }

    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        })
    }

    /// Compresses bytes; returns `None` for those that are to be sent uncompressed.
    async fn compress(self, bytes: Bytes) -> Option<Vec<u8>> {
        let written = if bytes.len() <= IN_PLACE_BYTES {
            self.write(&bytes)
        } else {
            let seat: SemaphorePermit<'static> = SEATS.try_acquire().ok()?;
            let written = tokio::task::spawn_blocking(move || {
                // The work continues after the client has left, and keeps its seat.
                let _seat = seat;
                self.write(&bytes)
            });
            written.await.unwrap_or_else(|died| Err(io::Error::other(died)))
        };
        // Writing to memory does not fail. If it does, the answer is sent uncompressed.
        written.inspect_err(|error| tracing::warn!(%error, "answer not compressed")).ok()
    }

    fn write(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let out = Vec::with_capacity(bytes.len() / 4);
        match self {
            Self::Gzip => {
                let mut out = GzEncoder::new(out, flate2::Compression::fast());
                out.write_all(bytes)?;
                out.finish()
            }
            Self::Brotli => {
                let (buffer, quality, window) =
                    (BROTLI_BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
                let mut out = brotli::CompressorWriter::new(out, buffer, quality, window);
                out.write_all(bytes)?;
                Ok(out.into_inner())
            }
            Self::Zstd => zstd::encode_all(bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }
}
