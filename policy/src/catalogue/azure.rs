//! What an Azure OpenAI `base_url` says: which resource, in which of the two forms its paths are, and which version of the interface.
//!
//! Read when a provider is compiled and again where it is called, so that both mean the same by an address.

/// Asked for where the address names none: of the versions with a date the last, and the one with chat, responses and embeddings.
const API_VERSION: &str = "2025-04-01-preview";

/// A `base_url` of vendor `azure`, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AzureAddress<'a> {
    /// Address of the resource, before `/openai`.
    pub resource: &'a str,
    /// Paths are below `/openai/v1` and the deployment is in the body; otherwise it is in the path.
    pub v1: bool,
    /// `api-version`, where one is named.
    pub api_version: Option<&'a str>,
}

impl<'a> AzureAddress<'a> {
    /// Takes `base_url` apart. What is left in [`AzureAddress::resource`] is still to be checked as any other address.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    pub fn read(base_url: &'a str) -> Result<Self, &'static str> {
        let (place, query) = base_url.split_once('?').map_or((base_url, None), |(place, query)| (place, Some(query)));
        let api_version = match query {
            None => None,
            Some(query) => {
                let named = query.strip_prefix("api-version=").filter(|version| is_version(version));
                Some(named.ok_or(
                    "the only query that an `azure` address may have is `?api-version=` with one version, such as `2025-04-01-preview`",
                )?)
            }
        };
        let place = place.trim_end_matches('/');
        let (resource, v1) = match place.strip_suffix("/openai/v1") {
            Some(resource) => (resource, true),
            None => (place.strip_suffix("/openai").unwrap_or(place), false),
        };
        if resource.contains("/openai/") {
            return Err(
                "write the address of the resource alone, or with `/openai/v1` behind it; the deployment is the model's name, as in `provider/deployment`",
            );
        }
        Ok(Self { resource, v1, api_version })
    }

    /// The query of every request to it, with its `?`; may be empty.
    #[must_use]
    pub fn query(&self) -> String {
        let version = self.api_version.or((!self.v1).then_some(API_VERSION));
        version.map(|version| format!("?api-version={version}")).unwrap_or_default()
    }

    pub(super) fn models_path(&self) -> String {
        format!("/openai{}/models{}", if self.v1 { "/v1" } else { "" }, self.query())
    }
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_address_are_told_apart() {
        let read = |text: &'static str| AzureAddress::read(text).map(|address| (address.resource, address.v1, address.api_version));
        for (text, expected) in [
            ("https://x.openai.azure.com", ("https://x.openai.azure.com", false, None)),
            ("https://x.openai.azure.com/openai/", ("https://x.openai.azure.com", false, None)),
            ("https://x.openai.azure.com/?api-version=2024-10-21", ("https://x.openai.azure.com", false, Some("2024-10-21"))),
            ("https://x.openai.azure.com/openai/v1", ("https://x.openai.azure.com", true, None)),
            ("https://gate.example/ai/openai/v1/?api-version=preview", ("https://gate.example/ai", true, Some("preview"))),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_deployment_or_another_query_in_the_address_is_refused_with_the_way_out() {
        let refusal = |text: &str| AzureAddress::read(text).unwrap_err();
        assert!(refusal("https://x.openai.azure.com/openai/deployments/d").contains("the deployment is the model's name"));
        for query in ["key=1", "api-version=", "api-version=1&key=2", "api-version=a b"] {
            assert!(refusal(&format!("https://x.openai.azure.com?{query}")).contains("`?api-version=`"), "{query}");
        }
    }
}
