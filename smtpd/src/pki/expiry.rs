//! Warns of certificates that expire.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::{CertificateStatus, Notice};
use crate::log::Priority;

const DAY_S: i64 = 86_400;

/// How near the end of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Fine,
    /// 21 days or less.
    Soon,
    /// 7 days or less.
    Urgent,
    Expired,
}

/// Remembers what was said, so that each stage of each certificate is said once.
#[derive(Debug, Default)]
pub struct ExpiryWatch {
    /// By id: the end that it was about, and the stage.
    said: RefCell<FxHashMap<String, (i64, Stage)>>,
}

impl ExpiryWatch {
    /// What there is to say of these certificates at `now_s`, in seconds since 1970.
    pub fn look(&self, certificates: &[CertificateStatus], now_s: i64) -> Vec<Notice> {
        let mut said = self.said.borrow_mut();
        let mut notices = Vec::new();
        for certificate in certificates {
            let left_s = certificate.not_after_s.saturating_sub(now_s);
            let stage = stage(left_s);
            let known = said.insert(certificate.id.clone(), (certificate.not_after_s, stage));
            let news = match known {
                Some((not_after_s, earlier)) if not_after_s == certificate.not_after_s => stage > earlier,
                _ => stage > Stage::Fine,
            };
            if news {
                notices.push(notice(certificate, stage, left_s));
            }
        }
        said.retain(|id, _| certificates.iter().any(|certificate| certificate.id == *id));
        notices
    }
}

fn stage(left_s: i64) -> Stage {
    match left_s {
        ..=0 => Stage::Expired,
        _ if left_s <= 7 * DAY_S => Stage::Urgent,
        _ if left_s <= 21 * DAY_S => Stage::Soon,
        _ => Stage::Fine,
    }
}

fn notice(certificate: &CertificateStatus, stage: Stage, left_s: i64) -> Notice {
    let CertificateStatus { entry, source, subject, .. } = certificate;
    let about = format!("{entry}: the certificate of {subject} in {source}");
    match stage {
        Stage::Expired => (Priority::Error, format!("{about} has expired")),
        _ => {
            let (days, hours) = (left_s / DAY_S, left_s % DAY_S / 3600);
            (Priority::Warning, format!("{about} expires in {days} days and {hours} hours"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_said_once_and_a_renewal_starts_anew() {
        let watch = ExpiryWatch::default();
        let certificate = |not_after_s| {
            let source = "/etc/mx.pem".into();
            let (id, entry) = ("mx".into(), "pki.private \"mx\"".into());
            [CertificateStatus { id, entry, subject: "CN=mx".into(), source, not_after_s }]
        };
        let end = 100 * DAY_S;
        let texts = |day, end| -> Vec<String> {
            watch.look(&certificate(end), day * DAY_S).into_iter().map(|(_, text)| text).collect()
        };
        let none: [&str; 0] = [];
        let about = "pki.private \"mx\": the certificate of CN=mx in /etc/mx.pem";
        assert_eq!(texts(1, end), none);
        assert_eq!(texts(78, end), none);
        assert_eq!(texts(79, end), [format!("{about} expires in 21 days and 0 hours")]);
        assert_eq!(texts(80, end), none);
        assert_eq!(texts(93, end), [format!("{about} expires in 7 days and 0 hours")]);
        assert_eq!(texts(94, end), none);
        assert_eq!(texts(100, end), [format!("{about} has expired")]);
        assert_eq!(texts(101, end), none);
        assert_eq!(texts(101, 200 * DAY_S), none);
        assert_eq!(texts(180, 200 * DAY_S), [format!("{about} expires in 20 days and 0 hours")]);
    }
}
