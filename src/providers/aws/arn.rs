//! What a reference's path means at AWS: a name, or an ARN with a region of its own.

/// What AWS is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Id {
    text: String,
    /// Where the region is in an ARN.
    region: Option<std::ops::Range<usize>>,
}

impl Id {
    /// Of a path. `prefix` is put before a name, not before an ARN.
    pub(super) fn new(path: &str, prefix: &str) -> Self {
        // arn:partition:service:region:account:resource
        let mut ends = path.match_indices(':').map(|(at, _)| at).skip(2);
        if path.starts_with("arn:")
            && let (Some(before), Some(after), Some(_)) = (ends.next(), ends.next(), ends.next())
            && after > before + 1
        {
            return Self { text: path.to_owned(), region: Some(before + 1..after) };
        }
        Self { text: format!("{prefix}{path}"), region: None }
    }

    /// The region that an ARN names.
    pub(super) fn region(&self) -> Option<&str> {
        self.region.clone().and_then(|range| self.text.get(range))
    }

    /// What to ask for in `region`: a copy that AWS keeps in another region has the same ARN but for that.
    pub(super) fn in_region(&self, region: &str) -> String {
        let mut text = self.text.clone();
        if let Some(range) = self.region.clone() {
            text.replace_range(range, region);
        }
        text
    }

    /// Whether it is a name and not an ARN.
    pub(super) fn is_name(&self) -> bool {
        self.region.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_a_region_that_can_be_exchanged_and_a_name_has_none() {
        let id = Id::new("arn:aws:secretsmanager:eu-west-1:000000000000:secret:/app/db-AbCdEf", "/prod/");
        assert_eq!(id.region(), Some("eu-west-1"));
        let other = "arn:aws:secretsmanager:us-east-1:000000000000:secret:/app/db-AbCdEf";
        assert_eq!(id.in_region("us-east-1"), other);
        for (path, prefix, name) in [
            ("app/db", "", "app/db"),
            ("app/db", "/prod/", "/prod/app/db"),
            ("arn:a", "", "arn:a"),
            ("a:b:c:d:e:f", "", "a:b:c:d:e:f"),
        ] {
            let id = Id::new(path, prefix);
            assert_eq!((id.region(), id.in_region("x").as_str()), (None, name), "{path}");
        }
    }

    #[test]
    fn an_arn_is_a_path_of_a_reference() {
        let text =
            "p:arn:aws:secretsmanager:eu-west-1:000000000000:secret:app/db-AbCdEf#user?version=AWSPREVIOUS";
        let reference: crate::reference::Reference = text.parse().unwrap();
        let arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:app/db-AbCdEf";
        assert_eq!(
            (reference.path(), reference.key(), reference.version()),
            (arn, Some("user"), Some("AWSPREVIOUS"))
        );
        assert_eq!(Id::new(reference.path(), "").region(), Some("eu-west-1"));
    }
}
