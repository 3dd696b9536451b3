//! SCRAM-SHA-512 (RFC 5802, RFC 7677 in its manner), the client's side, without channel binding.

use crate::connection::{Error, Result, garbled};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha512};

/// Where RFC 7677 has 4,096 as the least.
const LEAST_ITERATIONS: u32 = 4_096;

pub struct Exchange {
    bare: String,
    nonce: String,
}

/// What the server must prove.
pub struct Proof([u8; 64]);

impl Exchange {
    pub fn begin(user: &str) -> Result<Self> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(|error| Error::Lost(error.to_string()))?;
        let nonce = STANDARD.encode(random);
        let name = user.replace('=', "=3D").replace(',', "=2C");
        Ok(Self { bare: format!("n={name},r={nonce}"), nonce })
    }

    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The answer to the server's first words, and what it must prove in its last.
    pub fn answer(&self, password: &str, first: &[u8]) -> Result<(String, Proof)> {
        let words = std::str::from_utf8(first).map_err(garbled)?;
        let part = |name: &str| words.split(',').find_map(|one| one.strip_prefix(name)).ok_or_else(|| garbled(name));
        let (nonce, salt) = (part("r=")?, STANDARD.decode(part("s=")?).map_err(garbled)?);
        let iterations: u32 = part("i=")?.parse().map_err(garbled)?;
        if !nonce.starts_with(&self.nonce) || iterations < LEAST_ITERATIONS {
            return Err(garbled("the words of a login"));
        }
        let mut salted = [0; 64];
        pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), &salt, iterations, &mut salted);
        let client = keyed(&salted, b"Client Key");
        let without = format!("c=biws,r={nonce}");
        let all = format!("{},{words},{without}", self.bare);
        let signature = keyed(&Sha512::digest(client), all.as_bytes());
        let shown: Vec<u8> = client.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        let proof = Proof(keyed(&keyed(&salted, b"Server Key"), all.as_bytes()));
        Ok((format!("{without},p={}", STANDARD.encode(shown)), proof))
    }
}

impl Proof {
    /// That the server knows the password too.
    pub fn check(&self, last: &[u8]) -> Result<()> {
        let expected = format!("v={}", STANDARD.encode(self.0));
        if last.split(|byte| *byte == b',').any(|one| one == expected.as_bytes()) {
            Ok(())
        } else {
            Err(garbled("the broker has not proved that it knows the password"))
        }
    }
}

fn keyed(key: &[u8], words: &[u8]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("any length is a key");
    mac.update(words);
    mac.finalize().into_bytes().into()
}
