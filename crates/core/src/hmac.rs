//! HMAC-SHA256 (RFC 2104).

use sha2::{Digest, Sha256};

/// Bytes of SHA-256's block.
const BLOCK: usize = 64;

/// The code of `parts`, one after the other, under `key`.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36));
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// The code of fields that cannot be mistaken for others: each carries its length, and an absent one is not an empty
/// one.
#[must_use]
pub fn hmac_of_fields(key: &[u8], fields: &[Option<&[u8]>]) -> [u8; 32] {
    let mut encoded = Vec::new();
    for field in fields {
        match field {
            None => encoded.push(0),
            Some(bytes) => {
                encoded.push(1);
                encoded.extend((bytes.len() as u64).to_be_bytes());
                encoded.extend_from_slice(bytes);
            }
        }
    }
    hmac_sha256(key, &[&encoded])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        // RFC 4231, cases 1, 2, 3 and 6
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for (key, data, expected) in [
            (
                vec![0x0b; 20],
                b"Hi There".to_vec(),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 20],
                vec![0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let (one, two) = data.split_at(data.len() / 2);
            assert_eq!(hex(hmac_sha256(&key, &[one, two])), expected);
        }
    }

    #[test]
    fn fields_keep_their_borders() {
        let of = |fields: &[Option<&[u8]>]| hmac_of_fields(b"key", fields);
        assert_eq!(of(&[Some(b"ab"), None]), of(&[Some(b"ab"), None]));
        assert_ne!(of(&[Some(b"ab"), Some(b"c")]), of(&[Some(b"a"), Some(b"bc")]));
        assert_ne!(of(&[None]), of(&[Some(b"")]));
    }
}
