//! The paths of Azure OpenAI, where a model is a deployment of the customer's own name.
//!
//! Leaves out: Microsoft Entra ID; a resource is called with its key.

use bytes::{BufMut as _, BytesMut};
use llm::dialect::Dialect;
use policy::catalogue::{AzureAddress, Quirks};

use super::vendor::write_segment;

/// How one resource takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Azure {
    /// How its chat differs from OpenAI's.
    pub quirks: Quirks,
    v1: bool,
    /// With its `?`; may be empty.
    query: String,
}

impl Azure {
    /// The resource at `address`.
    pub(crate) fn at(address: &AzureAddress<'_>, quirks: Quirks) -> Self {
        Self { quirks, v1: address.v1, query: address.query() }
    }

    /// Writes the path of an operation that is passed through. Those that a deployment does are below it, in the form of paths that has any.
    pub(super) fn write_operation(&self, operation: &str, deployment: &str, wire: &mut BytesMut) {
        wire.put_slice(b"/openai");
        let by_deployment = ["/completions", "/images/", "/audio/"].iter().any(|path| operation.starts_with(path));
        if self.v1 {
            wire.put_slice(b"/v1");
        } else if by_deployment && !deployment.is_empty() {
            wire.put_slice(b"/deployments/");
            write_segment(deployment, wire);
        }
        wire.put_slice(operation.as_bytes());
        wire.put_slice(self.query.as_bytes());
    }

    /// Writes the path of `operation` below the resource. Responses name their deployment in the body in either form.
    pub(super) fn write_path(&self, operation: &str, dialect: Dialect, deployment: &str, wire: &mut BytesMut) {
        wire.put_slice(b"/openai");
        if self.v1 {
            wire.put_slice(b"/v1");
        } else if dialect != Dialect::OpenAiResponses {
            wire.put_slice(b"/deployments/");
            write_segment(deployment, wire);
        }
        wire.put_slice(operation.as_bytes());
        wire.put_slice(self.query.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use policy::catalogue::find_vendor;

    use super::*;

    fn path(base_url: &str, operation: &str, dialect: Dialect, deployment: &str) -> String {
        let quirks = find_vendor("azure").and_then(|vendor| vendor.quirks).expect("quirks");
        let azure = Azure::at(&AzureAddress::read(base_url).expect("an address"), quirks);
        let mut wire = BytesMut::new();
        azure.write_path(operation, dialect, deployment, &mut wire);
        String::from_utf8(wire.to_vec()).expect("text")
    }

    #[test]
    fn a_deployment_is_in_the_path_unless_the_address_is_of_v1() {
        let chat = |base_url: &str, deployment: &str| path(base_url, "/chat/completions", Dialect::OpenAiChat, deployment);
        let resource = "https://x.openai.azure.com";
        assert_eq!(chat(resource, "d-1"), "/openai/deployments/d-1/chat/completions?api-version=2025-04-01-preview");
        assert_eq!(chat(&format!("{resource}/openai/v1"), "d-1"), "/openai/v1/chat/completions");
        assert_eq!(chat(&format!("{resource}/openai/v1?api-version=preview"), "d"), "/openai/v1/chat/completions?api-version=preview");
        let responses = path(&format!("{resource}?api-version=1"), "/responses", Dialect::OpenAiResponses, "d-1");
        assert_eq!(responses, "/openai/responses?api-version=1");
    }

    #[test]
    fn operations_that_a_deployment_does_are_below_it() {
        let operation = |base_url: &str, operation: &str, deployment: &str| {
            let quirks = find_vendor("azure").and_then(|vendor| vendor.quirks).expect("quirks");
            let mut wire = BytesMut::new();
            let azure = Azure::at(&AzureAddress::read(base_url).expect("an address"), quirks);
            azure.write_operation(operation, deployment, &mut wire);
            String::from_utf8(wire.to_vec()).expect("text")
        };
        let resource = "https://x.openai.azure.com?api-version=1";
        assert_eq!(operation(resource, "/images/generations", "d"), "/openai/deployments/d/images/generations?api-version=1");
        assert_eq!(operation(resource, "/files/file-1", ""), "/openai/files/file-1?api-version=1");
        assert_eq!(operation("https://x.openai.azure.com/openai/v1", "/images/generations", "d"), "/openai/v1/images/generations");
    }

    #[test]
    fn no_name_of_a_deployment_leads_elsewhere() {
        let path = path("https://x.openai.azure.com", "/embeddings", Dialect::OpenAiEmbeddings, "a/../b?c HTTP/1.1\r\n");
        assert_eq!(path, "/openai/deployments/a%2F..%2Fb%3Fc%20HTTP%2F1.1%0D%0A/embeddings?api-version=2025-04-01-preview");
    }
}
