//! Spellings of identifiers that the core does not know: cards with their check digits, hashes as advertisers send them,
//! names in the form of the vocabulary.

use musubi_core::normalise::{CheckDigit, Normaliser, Spelling};

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

/// A name in lower-case words with `_` between: `Order Completed` and `orderCompleted` are `order_completed`. What is no
/// ASCII stays as it is.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut before = '_';
    for c in name.trim().chars() {
        let parts = c.is_whitespace() || matches!(c, '-' | '.' | '/' | ':' | '_' | '$');
        let begins = parts || (c.is_ascii_uppercase() && before.is_ascii_lowercase());
        if begins && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        if !parts {
            out.extend(c.to_lowercase());
        }
        before = c;
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// A card's number without its hyphens and blanks of every class, leading zeros kept; none where it is no number.
pub(crate) fn card(number: &str) -> Option<String> {
    Normaliser::Digits.normalise(number).map(std::borrow::Cow::into_owned)
}

/// Whether these are 8 or 13 digits of which the last is the check digit of JAN (EAN).
pub(crate) fn is_jan(number: &str) -> bool {
    CheckDigit::Jan.holds(number)
}

/// Whether the last digit is the check digit of Luhn.
pub(crate) fn is_luhn(number: &str) -> bool {
    CheckDigit::Luhn.holds(number)
}

/// A namespace and the value in it.
pub(crate) type Hash = (&'static str, String);

/// The hashes under which advertisers know a mail address, in Meta's spelling (`email_sha256`) and in Google's
/// (`email_sha256_google`). Both, so that whichever a system sends meets its plain form.
pub(crate) fn email_hashes(address: &str) -> Option<[Hash; 2]> {
    let address = Normaliser::Email.normalise(address)?;
    let hash = |spelling: Spelling| spelling.of_email(&address);
    Some([("email_sha256", hash(Spelling::Meta)), ("email_sha256_google", hash(Spelling::Google))])
}

/// The hashes of a number in E.164: with its plus (`phone_sha256`, Google) and without (`phone_sha256_meta`).
pub(crate) fn phone_hashes(number: &str) -> Option<[Hash; 2]> {
    let hash = |spelling: Spelling| spelling.of_phone(number);
    number
        .starts_with('+')
        .then(|| [("phone_sha256", hash(Spelling::Google)), ("phone_sha256_meta", hash(Spelling::Meta))])
}

/// Whether this is a SHA-256 in hexadecimal digits, and of something: the digest of the empty text is junk that
/// advertisers' tags send.
pub(crate) fn is_sha256(value: &str) -> bool {
    Normaliser::Sha256.normalise(value).is_some()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn digest(text: &str) -> String {
        hex(&Sha256::digest(text.as_bytes()))
    }

    #[test]
    fn names_are_in_the_form_of_the_vocabulary() {
        let cases = [
            ("Order Completed", "order_completed"),
            ("orderCompleted", "order_completed"),
            ("pos:transactions", "pos_transactions"),
            ("$pageview", "pageview"),
            ("会員登録", "会員登録"),
            ("  A--B  ", "a_b"),
            ("URLOpened", "urlopened"),
        ];
        for (name, snake) in cases {
            assert_eq!(super::snake(name), snake);
        }
    }

    #[test]
    fn check_digits_are_checked() {
        assert!(is_luhn("4111111111111111") && !is_luhn("4111111111111112") && is_luhn("0000000000000000"));
        assert!(is_jan("4901234567894") && !is_jan("4901234567895") && is_jan("49123456") && is_jan("2000000000015"));
        assert!(!is_jan("490123456789X") && !is_jan("123") && !is_luhn("") && is_jan("0000000000000"));
        assert_eq!(card("４９０１‐２３４５−６７ー８９４").as_deref(), Some("4901234567894"));
    }

    /// Computed by another implementation, of addresses that nobody would call valid and that exist.
    #[test]
    fn addresses_are_hashed_as_others_hash_them() {
        let cases = [
            ("taro.yamada@googlemail.com", "fef65fde216edb03a1f1d3393b9f5de4ad67508190ec7b6e07054e71cbf07610"),
            ("Taro..Yamada.@docomo.ne.jp", "39d309e6a8fc584dd79bbb5f86520faabe550331515a8c920d68d8e94e1a5e23"),
            ("\"a b\"@example.jp", "e194e85c1f0cd2389371f60fba9e68d48db6cab45f9c25ead104d8a6f506416e"),
            ("ｔａｒｏ＠ｅｘａｍｐｌｅ．ｊｐ", "430116ef8e3354019be1e95115092c048e55f573160d0f4dc6b978b2ebe217a6"),
            ("taro@xn--r8jz45g.jp", "89af8145de3123d732123fb05182153b8433a48f9b2efe6751240d291170592f"),
        ];
        for (address, hash) in cases {
            let [plain, _] = email_hashes(address).expect(address);
            assert_eq!(plain.1, hash, "{address}");
        }
        let [_, google] = email_hashes("taro.yamada@googlemail.com").expect("an address");
        assert_eq!(google.1, digest("taroyamada@gmail.com"), "Google's two domains are one");
    }

    #[test]
    fn a_hash_meets_its_plain_form() {
        let [plain, google] = email_hashes("Taro.Yamada+shop@Gmail.com").expect("an address");
        assert_eq!(plain.1, "d9392948eb18ff534cfbb98928cbd98c5860fed19f0351920e4b3979ec83de0f");
        assert_eq!(google.1, digest("taroyamada@gmail.com"));
        let [plain, google] = email_hashes(" TARO@EXAMPLE.JP ").expect("an address");
        assert_eq!(plain.1, "430116ef8e3354019be1e95115092c048e55f573160d0f4dc6b978b2ebe217a6");
        assert_eq!(google.1, plain.1, "only Google's own mailboxes are folded");
        let [google, meta] = phone_hashes("+819012345678").expect("a number");
        assert_eq!((google.1, meta.1), (digest("+819012345678"), digest("819012345678")));
        assert!(!is_sha256(&digest("")) && is_sha256(&digest("x")) && !is_sha256("x"));
    }
}
