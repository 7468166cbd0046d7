//! Names that hold personal data on this platform, in groups, and presets of what becomes of them.
//!
//! Source: the published models of notifications, detail events and analytics rows. A name holds
//! wherever it stands, so a medium that does not exist yet is covered when it names things alike.

use serde::{Deserialize, Serialize};

use super::Action;

/// A group of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Where somebody is called or written to: ANI, DNIS, addresses of every medium, telephone URIs.
    Addresses,
    /// What somebody is called.
    Names,
    /// E-mail addresses, by name and in any text.
    Emails,
    /// What the customer's own flows, scripts and systems fill in: free maps, tags.
    Attributes,
    /// What people wrote or said: notes, subjects, messages, and links to them.
    Content,
}

impl Group {
    /// Every group, in the order they are shown.
    pub const ALL: [Self; 5] =
        [Self::Addresses, Self::Names, Self::Emails, Self::Attributes, Self::Content];

    /// The word used in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Names => "names",
            Self::Emails => "emails",
            Self::Attributes => "attributes",
            Self::Content => "content",
        }
    }

    /// The names that belong to it; compared without regard to case.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Addresses => &[
                "ani",
                "dnis",
                "sessionDnis",
                "address",
                "addressNormalized",
                "addressRaw",
                "addressDisplayable",
                "addressFrom",
                "addressTo",
                "addressSelf",
                "addressOther",
                "fromAddress",
                "toAddress",
                "replyToAddress",
                "destinationAddresses",
                "transferTargetAddress",
                "screenShareAddressSelf",
                "videoAddressSelf",
                "callbackNumbers",
                "callerId",
                "phone",
                "phoneNumber",
                "phoneNumbers",
                "remote",
                "publicIpAddress",
                "ipAddress",
                "socialMediaId",
                "cc",
                "bcc",
            ],
            Self::Names => &[
                "name",
                "nameRaw",
                "participantName",
                "callbackUserName",
                "callerIdName",
                "remoteNameDisplayable",
                "socialUserName",
                "transferTargetName",
                "displayName",
                "firstName",
                "middleName",
                "lastName",
                "fullName",
                "nickname",
                "userName",
                "customerName",
                "agentName",
                "avatarImageUrl",
                // a person's own key in the customer journey: often an address
                "customer",
                "journeyCustomerId",
            ],
            Self::Emails => &["email", "emailAddress", "mail", "senderEmail", "customerEmail"],
            Self::Attributes => &[
                "attributes",
                "customAttributes",
                "customFields",
                "participantAttributes",
                "dialerPreview",
                "externalTag",
                "uuiData",
            ],
            Self::Content => &[
                "notes",
                "wrapupNotes",
                "wrapUpNote",
                "subject",
                "body",
                "text",
                "content",
                "comment",
                "comments",
                "previewText",
                "messageText",
                "transcript",
                "transcripts",
                "decoratedTranscript",
                "url",
                "contentUri",
                "viewerUrl",
                "connectUri",
                "messagesTranscriptUri",
                "otherMediaUris",
            ],
        }
    }
}

/// A choice of what becomes of every group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Everything leaves as it came.
    None,
    /// What tells people apart leaves as keyed hashes; what they wrote does not leave.
    Pseudonymous,
    /// Nothing of it leaves; that there was an address can be seen.
    Strict,
}

impl Preset {
    /// Every preset, in the order they are shown.
    pub const ALL: [Self; 3] = [Self::None, Self::Pseudonymous, Self::Strict];

    /// The word used in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pseudonymous => "pseudonymous",
            Self::Strict => "strict",
        }
    }

    /// What becomes of a group.
    #[must_use]
    pub fn action(self, group: Group) -> Action {
        match (self, group) {
            (Self::None, _) => Action::Keep,
            (Self::Pseudonymous, Group::Content) => Action::Drop,
            (Self::Pseudonymous, _) => Action::Hash,
            (Self::Strict, Group::Addresses | Group::Emails) => Action::Mask,
            (Self::Strict, Group::Names | Group::Attributes | Group::Content) => Action::Drop,
        }
    }
}

/// Actions by name, looked up for every member of every body: by length, then by first letter.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_length: Vec<Vec<(u8, &'static str, Action)>>,
    /// Of texts that are telephone URIs, and of those that hold an e-mail address.
    pub(super) phone: Option<Action>,
    pub(super) email: Option<Action>,
}

impl Names {
    pub(super) fn new(groups: &[(Group, Action)]) -> Self {
        let last = |group| {
            let found = groups.iter().rfind(|(named, _)| *named == group);
            found.map(|(_, action)| *action).filter(|action| *action != Action::Keep)
        };
        let (phone, email) = (last(Group::Addresses), last(Group::Emails));
        let mut by_length: Vec<Vec<_>> = Vec::new();
        for group in Group::ALL {
            let Some(action) = last(group) else { continue };
            for name in group.names() {
                by_length.resize(by_length.len().max(name.len() + 1), Vec::new());
                let first = name.as_bytes().first().map_or(0, u8::to_ascii_lowercase);
                by_length[name.len()].push((first, *name, action));
            }
        }
        Self { by_length, phone, email }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }

    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<Action> {
        let first = name.as_bytes().first()?.to_ascii_lowercase();
        let alike = self.by_length.get(name.len())?;
        let found = alike
            .iter()
            .find(|(letter, known, _)| *letter == first && known.eq_ignore_ascii_case(name));
        found.map(|(_, _, action)| *action)
    }
}
