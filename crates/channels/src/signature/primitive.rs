//! HMAC, ECDSA and the two ways in which signatures are written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Encoding, Hash, Unsigned};
use crate::spelling::hex;

/// The HMAC of some pieces, one after another.
pub(super) fn hmac(hash: Hash, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    const ANY_LENGTH: &str = "HMAC takes keys of any length";
    match hash {
        Hash::Sha1 => {
            let mut mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY_LENGTH);
            pieces.iter().for_each(|piece| mac.update(piece));
            mac.finalize().into_bytes().to_vec()
        }
        Hash::Sha256 => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY_LENGTH);
            pieces.iter().for_each(|piece| mac.update(piece));
            mac.finalize().into_bytes().to_vec()
        }
    }
}

/// Refuses what is not the signature, in a time that does not tell how near it came.
pub(super) fn same(wanted: &[u8], found: &str, encoding: Encoding) -> Result<(), Unsigned> {
    let wanted = match encoding {
        Encoding::Hex => hex(wanted),
        Encoding::Base64 => STANDARD.encode(wanted),
    };
    let found = match encoding {
        Encoding::Hex => found.trim().to_ascii_lowercase(),
        Encoding::Base64 => found.trim().to_owned(),
    };
    if wanted.as_bytes().ct_eq(found.as_bytes()).into() { Ok(()) } else { Err(Unsigned::bad()) }
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// What stands in base64; nothing where it is none.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.trim()).ok()
}

/// Checks an ECDSA signature on P-256 over SHA-256. The key is in base64 as `SubjectPublicKeyInfo`, with or without the
/// lines of PEM around it; the signature is DER.
pub(super) fn ecdsa(key: &str, signature: &str, message: &[u8]) -> Result<(), Unsigned> {
    /// What an uncompressed point on P-256 takes; in the structure around it, it stands last.
    const POINT: usize = 65;
    let body: String = key.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let point = base64(&body).filter(|key| key.len() >= POINT);
    let key = point.and_then(|key| VerifyingKey::from_sec1_bytes(&key[key.len() - POINT..]).ok());
    let signature = base64(signature).and_then(|signature| Signature::from_der(&signature).ok());
    match (key, signature) {
        (Some(key), Some(signature)) => key.verify(message, &signature).map_err(|_| Unsigned::bad()),
        (None, _) => Err(Unsigned { reason: "bad-signature", detail: "wanted a P-256 key in `secret`".into() }),
        (Some(_), None) => Err(Unsigned::bad()),
    }
}
