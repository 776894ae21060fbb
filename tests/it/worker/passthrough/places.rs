//! Which provider does it, and what its answers and refusals look like to the caller.

use serde_json::json;
use tests::fleet::UPSTREAM_KEY;
use tests::provider::Answer;

use super::{FORM, call, form, governed, post, send};

#[tokio::test]
async fn a_model_is_resolved_and_put_in_as_its_provider_calls_it() {
    let (fleet, key) = governed(|wanted| {
        wanted["routing_configs"] = json!([
            {"slug": "ears", "strategy": "single", "model": "other/whisper-2"},
            {"slug": "mixed", "strategy": "fallback", "attempts": [{"model": "claude/c"}, {"model": "sim/draws"}]},
            {"slug": "two", "strategy": "fallback", "attempts": [{"model": "sim/draws"}, {"model": "other/draws"}]}]);
    })
    .await;
    for (asked, provider, model) in
        [("sim/whisper-1", "sim", "whisper-1"), ("@ears", "other", "whisper-2"), ("whisper-unlisted", "sim", "whisper-unlisted")]
    {
        let body = form(&[("model", asked), ("language", "en")]);
        let request = call("POST", "/v1/audio/transcriptions", &key).header("Content-Type", FORM).body(body);
        let reply = send(&fleet, &request).await;
        assert_eq!(reply.status(), 200, "{asked}: {}", reply.text());
        assert!(fleet.provider.last().body == form(&[("model", model), ("language", "en")]), "{asked}: more than the model has changed");
        assert_eq!((reply.header("x-modelux-provider-used"), reply.header("x-modelux-model-used")), (Some(provider), Some(model)));
    }
    let body = json!({"n": 1, "model": "@mixed", "prompt": "a \u{e4}", "mlx:end_user": "ann"});
    assert_eq!(send(&fleet, &post("/v1/images/generations", &key, &body)).await.status(), 200);
    assert_eq!(fleet.provider.last().json(), json!({"n": 1, "model": "draws", "prompt": "a \u{e4}"}));
    for (model, code) in [("@two", "provider_not_found"), ("claude/c", "provider_not_found")] {
        let reply = send(&fleet, &post("/v1/images/generations", &key, &json!({"model": model, "prompt": "x"}))).await;
        assert_eq!(reply.error(400)["code"], code, "{model}");
    }
    let log = fleet.logged(1, "model: \"draws\"").await;
    assert_eq!((&log[0]["requestedModel"], &log[0]["endUser"]), (&json!("@mixed"), &json!("ann")), "{log:#?}");
}

#[tokio::test]
async fn with_several_providers_of_a_vendor_the_caller_says_which() {
    let (fleet, key) = governed(|wanted| {
        let eu = json!({"name": "eu", "vendor": "openai", "base_url": wanted["providers"][0]["base_url"], "api_key": "eu-key"});
        wanted["providers"].as_array_mut().unwrap().push(eu);
    })
    .await;
    let error = send(&fleet, &call("GET", "/v1/files", &key)).await.error(400);
    assert_eq!(error["code"], "provider_not_found");
    for named in ["`eu`, `sim`", "X-Modelux-Provider", "GET /openai/v1/files"] {
        assert!(error["message"].as_str().unwrap().contains(named), "{error}");
    }
    for (provider, upstream) in [("eu", "Bearer eu-key".to_owned()), ("other", format!("Bearer {UPSTREAM_KEY}"))] {
        let reply = send(&fleet, &call("GET", "/v1/files", &key).header("X-Modelux-Provider", provider)).await;
        assert_eq!((reply.status(), reply.header("x-modelux-provider-used")), (200, Some(provider)));
        let sent = fleet.provider.last();
        assert_eq!((sent.header("authorization"), sent.header("x-modelux-provider")), (Some(&*upstream), None));
    }
    for nowhere in ["claude", "nobody"] {
        let reply = send(&fleet, &call("GET", "/v1/files", &key).header("X-Modelux-Provider", nowhere)).await;
        assert_eq!(reply.error(400)["code"], "provider_not_found", "{nowhere}");
    }
    // A key of the caller's own goes in the place of the provider's.
    let own = call("GET", "/v1/files", &key).header("X-Modelux-Provider", "eu").header("X-Modelux-Provider-Key", "sk-own");
    assert_eq!(send(&fleet, &own).await.status(), 200);
    assert_eq!(fleet.provider.last().header("authorization"), Some("Bearer sk-own"));
}

#[tokio::test]
async fn anthropics_files_and_batches_are_told_from_openais() {
    let (fleet, key) = governed(|_| {}).await;
    let beta = |path: &str| call("GET", path, &key).header("anthropic-beta", "files-api-2025-04-14").header("OpenAI-Beta", "x");
    for request in [beta("/anthropic/v1/files/file_1"), beta("/v1/files/file_1").header("anthropic-version", "2026-01-01")] {
        assert_eq!(send(&fleet, &request).await.header("x-modelux-provider-used"), Some("claude"));
        let sent = fleet.provider.last();
        assert_eq!((sent.target.as_str(), sent.header("x-api-key")), ("GET /v1/files/file_1", Some(UPSTREAM_KEY)));
        assert_eq!((sent.header("anthropic-beta"), sent.header("openai-beta")), (Some("files-api-2025-04-14"), None));
        assert!(sent.header("anthropic-version").is_some());
    }
    assert_eq!(send(&fleet, &beta("/v1/files/file_1")).await.header("x-modelux-provider-used"), Some("sim"));
    let batch = |models: [&str; 2]| {
        let request = |model: &str| json!({"custom_id": "x", "params": {"model": model, "max_tokens": 9, "messages": []}});
        json!({"requests": models.map(request)})
    };
    let reply = send(&fleet, &post("/v1/messages/batches", &key, &batch(["claude/c-1", "claude/c-1"]))).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(fleet.provider.last().json(), batch(["c-1", "c-1"]));
    let reply = send(&fleet, &post("/v1/messages/batches", &key, &batch(["claude/c-1", "claude/c-2"]))).await;
    assert_eq!((reply.status(), &reply.json()["error"]["type"]), (400, &json!("invalid_request_error")), "{}", reply.text());
}

#[tokio::test]
async fn geminis_models_stand_in_paths_and_bodies() {
    let (fleet, key) = governed(|_| {}).await;
    let batch = json!({"batch": {"model": "models/gem/g-1", "inputConfig": {"fileName": "files/f"}}});
    let path = "/v1beta/models/gem%2Fg-1:batchGenerateContent";
    let reply = send(&fleet, &post(path, &key, &batch)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let sent = fleet.provider.last();
    assert_eq!((sent.target.as_str(), sent.header("x-goog-api-key")), ("POST /v1beta/models/g-1:batchGenerateContent", Some(UPSTREAM_KEY)));
    assert_eq!(sent.json()["batch"]["model"], "models/g-1");
    let cached = json!({"model": "models/gem/g-1", "contents": [], "ttl": "60s"});
    assert_eq!(send(&fleet, &post("/gemini/v1beta/cachedContents", &key, &cached)).await.header("x-modelux-model-used"), Some("g-1"));
    assert_eq!(fleet.provider.last().json()["model"], "models/g-1");
    let watched = send(&fleet, &call("GET", "/v1beta/models/gem/veo-1/operations/op-1?alt=json", &key)).await;
    assert_eq!(watched.status(), 200);
    assert_eq!(fleet.provider.last().target, "GET /v1beta/models/veo-1/operations/op-1?alt=json");
    let reply = send(&fleet, &post(path, &key, &json!({"batch": {"model": "models/gem/other"}}))).await;
    assert_eq!(reply.error(400)["status"], "INVALID_ARGUMENT", "{}", reply.text());
    let upload = call("POST", "/upload/v1beta/files?uploadType=media", &key)
        .header("Content-Type", "image/png")
        .header("X-Goog-Upload-Protocol", "raw");
    assert_eq!(send(&fleet, &upload.body(vec![0_u8, 1, 2])).await.status(), 200);
    let sent = fleet.provider.last();
    assert_eq!((sent.target.as_str(), sent.header("x-goog-upload-protocol")), ("POST /upload/v1beta/files?uploadType=media", Some("raw")));
    assert_eq!((sent.header("content-type"), &*sent.body), (Some("image/png"), &[0, 1, 2][..]));
}

/// Clients upload to Gemini in two steps, the second to the address that they are given, and without a key.
#[tokio::test]
async fn an_upload_in_steps_goes_on_through_the_worker() {
    let (mut fleet, key) = governed(|_| {}).await;
    let place = format!("http://{}/upload/v1beta/files?upload_id=abc%2F1&upload_protocol=resumable", fleet.provider.address());
    let begun = || {
        Answer::bytes("").header("X-Goog-Upload-URL", &place).header("X-Goog-Upload-Status", "active").header("X-GUploader-UploadID", "x")
    };
    let start = post("/gemini/upload/v1beta/files", &key, &json!({"file": {"display_name": "a"}}))
        .header("Host", "models.example:8080")
        .header("X-Forwarded-Proto", "https")
        .header("X-Goog-Upload-Protocol", "resumable")
        .header("X-Goog-Upload-Command", "start");
    fleet.provider.next(begun());
    let reply = send(&fleet, &start).await;
    assert_eq!((reply.status(), reply.header("x-goog-upload-status"), reply.header("x-guploader-uploadid")), (200, Some("active"), None));
    let url = reply.header("x-goog-upload-url").expect("an address").to_owned();
    let path = url.strip_prefix("https://models.example:8080").unwrap_or_else(|| panic!("{url}"));
    assert!(path.starts_with("/gemini/upload/v1beta/files?upload_id=abc%2F1&upload_protocol=resumable&mlx_ticket=key_"), "{path}");
    assert!(!url.contains(&key) && !url.contains(UPSTREAM_KEY), "{url}");
    // Another worker knows it too.
    fleet.join(fleet.worker_options()).await;
    let piece = |path: &str| {
        let request = tests::http::Request::new("POST", path).header("X-Goog-Upload-Command", "upload, finalize");
        request.header("X-Goog-Upload-Offset", "0").body(vec![1, 2, 3])
    };
    fleet.provider.next(Answer::json(&json!({"file": {"name": "files/f"}})).header("X-Goog-Upload-Status", "final"));
    let reply = send(&fleet, &piece(path)).await;
    assert_eq!((reply.status(), reply.header("x-goog-upload-status")), (200, Some("final")), "{}", reply.text());
    let sent = fleet.provider.last();
    assert_eq!(sent.target, "POST /upload/v1beta/files?upload_id=abc%2F1&upload_protocol=resumable");
    assert_eq!(
        (sent.header("x-goog-upload-offset"), sent.header("x-goog-api-key"), &*sent.body),
        (Some("0"), Some(UPSTREAM_KEY), &[1, 2, 3][..])
    );
    let log = fleet.logged(2, "status: 200").await;
    assert!(log.iter().all(|row| row["key"]["name"] == "main" && row["provider"] == "gem"), "{log:#?}");
    // It opens this upload only, for this path only, and only as it was given.
    let asked = fleet.provider.count();
    for other in [
        path.replace("abc", "xyz"),
        path.replace("mlx_ticket=key_", "mlx_ticket=key_x"),
        path.replace("upload_protocol=resumable&", ""),
        path.replace("/upload/v1beta/files", "/v1beta/files"),
        path[..path.len() - 4].to_owned(),
    ] {
        assert_eq!(send(&fleet, &piece(&other)).await.status(), 401, "{other}");
    }
    assert_eq!(fleet.provider.count(), asked);
}

#[tokio::test]
async fn azure_has_its_own_paths_for_it() {
    let (fleet, key) = governed(|wanted| {
        let address = wanted["providers"][0]["base_url"].as_str().unwrap().trim_end_matches("/v1").to_owned();
        let azure = |name: &str, base_url: String| json!({"name": name, "vendor": "azure", "base_url": base_url, "api_key": "az"});
        let v1 = azure("v1", format!("{address}/openai/v1"));
        let dated = azure("dated", format!("{address}?api-version=2024-10-21"));
        wanted["providers"].as_array_mut().unwrap().extend([v1, dated]);
    })
    .await;
    let dated = "POST /openai/deployments/our-draws/images/generations?api-version=2024-10-21";
    for (provider, file, picture) in [
        ("v1", "GET /openai/v1/files/f-1?limit=2", "POST /openai/v1/images/generations"),
        ("dated", "GET /openai/files/f-1?api-version=2024-10-21&limit=2", dated),
    ] {
        let get = call("GET", "/v1/files/f-1?limit=2&api-version=1", &key).header("X-Modelux-Provider", provider);
        assert_eq!(send(&fleet, &get).await.status(), 200);
        let sent = fleet.provider.last();
        assert_eq!((sent.target.as_str(), sent.header("api-key")), (file, Some("az")));
        let draw = post("/v1/images/generations", &key, &json!({"model": format!("{provider}/our-draws"), "prompt": "x"}));
        assert_eq!(send(&fleet, &draw).await.status(), 200);
        let sent = fleet.provider.last();
        assert_eq!((sent.target.as_str(), &sent.json()["model"]), (picture, &json!("our-draws")));
    }
}

#[tokio::test]
async fn a_providers_refusal_is_passed_on_and_its_failure_is_told() {
    let (fleet, key) = governed(|_| {}).await;
    fleet.provider.next(Answer::error(404));
    let reply = send(&fleet, &call("GET", "/v1/files/file-9", &key)).await;
    assert_eq!(reply.error(404)["message"], "simulated 404");
    assert_eq!(reply.header("x-modelux-provider-used"), Some("sim"));
    fleet.provider.next(Answer::error(429).header("Retry-After", "7"));
    let reply = send(&fleet, &call("GET", "/v1/files", &key)).await;
    assert_eq!((reply.status(), reply.header("retry-after")), (429, Some("7")));
    fleet.provider.next(Answer::bytes("<html>no</html>").with_status(403).header("Content-Type", "text/html"));
    let reply = send(&fleet, &call("GET", "/anthropic/v1/files", &key)).await;
    assert_eq!((reply.status(), &reply.json()["type"]), (403, &json!("error")), "in the surface's shape: {}", reply.text());
    for answer in [Answer::error(500), Answer::bytes("").with_status(302).header("Location", "http://elsewhere/?token=secret")] {
        fleet.provider.next(answer);
        let reply = send(&fleet, &call("GET", "/v1/files", &key)).await;
        assert_eq!((reply.status(), reply.header("location")), (502, None), "{}", reply.text());
    }
    for (method, path) in [("DELETE", "/v1/files/file-9"), ("POST", "/v1/batches")] {
        // So that there is a connection that was used before, and is closed as the next request has gone out on it.
        assert_eq!(send(&fleet, &call("GET", "/v1/files", &key)).await.status(), 200);
        let asked = fleet.provider.count();
        fleet.provider.next(Answer::hang_up());
        assert_eq!(send(&fleet, &call(method, path, &key)).await.error(502)["code"], "upstream_unreachable");
        assert_eq!(fleet.provider.count(), asked + 1, "what may have been carried out is not tried again");
    }
    let log = fleet.logged(9, "").await;
    assert!(log.iter().all(|row| row["surface"] == "passthrough"), "{log:#?}");
    let costly: Vec<_> = log.iter().filter(|row| row["usageSource"] != "none").collect();
    let [batch] = costly.as_slice() else { panic!("{costly:#?}") };
    assert_eq!(
        (&batch["usageSource"], &batch["errorCode"]),
        (&json!("unpriced"), &json!("upstream_unreachable")),
        "it may have been begun"
    );
    assert_eq!(log.iter().filter(|row| row["errorCode"] == "upstream_refused").count(), 3, "{log:#?}");
}
