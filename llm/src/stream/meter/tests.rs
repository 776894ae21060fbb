//! What is forwarded, withheld, held and counted. The recorded streams are in the golden tests.

use super::*;

const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hello wo\"}}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const PROMPT: TokenEstimate = TokenEstimate { likely: 10, bound: 40 };

fn run(meter: StreamMeter, chunks: &[&str]) -> (String, StreamOutcome) {
    let mut meter = meter;
    let mut forward = Vec::new();
    for chunk in chunks {
        meter.push(Bytes::from((*chunk).to_owned()), &mut forward);
    }
    (String::from_utf8(forward.concat()).unwrap(), meter.finish())
}

fn forwarding() -> StreamMeter {
    StreamMeter::new(Dialect::OpenAiChat, UsageEvents::Forward)
}

fn withholding() -> StreamMeter {
    StreamMeter::new(Dialect::OpenAiChat, UsageEvents::Withhold)
}

#[test]
fn a_whole_chunk_is_forwarded_as_the_same_allocation() {
    let chunk = Bytes::from([TEXT, TEXT].concat());
    for mut meter in [forwarding(), withholding()] {
        let mut forward = Vec::new();
        meter.push(chunk.clone(), &mut forward);
        assert_eq!(forward.len(), 1);
        assert_eq!(forward[0].as_ptr(), chunk.as_ptr());
    }
}

#[test]
fn a_report_nobody_asked_for_is_withheld_and_still_counted() {
    let (forwarded, outcome) = run(withholding(), &[&[TEXT, USAGE, DONE].concat()]);
    assert_eq!(forwarded, [TEXT, DONE].concat());
    assert_eq!(outcome.reported.unwrap().input_tokens, Some(5));
    assert!(outcome.done && !outcome.mid_event && outcome.held.is_empty());
}

#[test]
fn a_report_is_withheld_wherever_it_is_cut() {
    for end in ["\n", "\r\n"] {
        let [text, report, done] = [TEXT, USAGE, DONE].map(|event| event.replace('\n', end));
        let stream = [text.as_str(), &report, &done].concat();
        for cut in 0..stream.len() {
            let (before, behind) = stream.split_at(cut);
            let (forwarded, outcome) = run(withholding(), &[before, behind]);
            assert_eq!(forwarded, [text.as_str(), &done].concat(), "cut at {cut}");
            assert_eq!(outcome.verdict(PROMPT).source, UsageSource::Provider);
        }
    }
}

#[test]
fn bytes_are_forwarded_at_once_when_the_caller_asked_for_usage() {
    let mut meter = forwarding();
    for byte in [TEXT, USAGE, DONE].concat().into_bytes() {
        let mut forward = Vec::new();
        meter.push(Bytes::from(vec![byte]), &mut forward);
        assert_eq!(forward, [vec![byte]]);
    }
    let outcome = meter.finish();
    assert_eq!((outcome.events, outcome.done, outcome.mid_event), (3, true, false));
}

#[test]
fn a_report_in_a_chunk_with_choices_is_forwarded_and_counts() {
    let both = TEXT.replace("]}\n", "],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n");
    let (forwarded, outcome) = run(withholding(), &[&both, DONE]);
    assert_eq!(forwarded, [&both, DONE].concat());
    assert_eq!(outcome.verdict(PROMPT).source, UsageSource::Provider);
}

#[test]
fn output_after_the_last_report_makes_it_an_estimate_that_is_not_below_it() {
    let early = USAGE.replace("\"completion_tokens\":2,\"total_tokens\":7", "\"completion_tokens\":9");
    let (_, outcome) = run(forwarding(), &[&early, TEXT]);
    let verdict = outcome.verdict(PROMPT);
    assert_eq!(verdict.source, UsageSource::PartialEstimate);
    assert_eq!((verdict.usage.input_tokens, verdict.usage.output_tokens), (Some(5), Some(9)));
}

#[test]
fn without_a_report_the_prompts_bound_and_the_bytes_seen_are_settled() {
    let (_, outcome) = run(forwarding(), &[TEXT, TEXT, DONE]);
    let verdict = outcome.verdict(PROMPT);
    assert_eq!(verdict.source, UsageSource::PartialEstimate);
    assert_eq!((verdict.usage.input_tokens, verdict.usage.output_tokens), (Some(40), Some(4)));
    assert!(verdict.usage.buckets().is_ok());
}

#[test]
fn an_error_in_the_stream_is_seen_by_member_or_by_name() {
    for event in ["data: {\"error\":{\"message\":\"x\"}}\n\n", "event: error\ndata: {}\n\n"] {
        assert!(run(forwarding(), &[event]).1.failed, "{event}");
    }
    assert!(!run(forwarding(), &["data: {\"error\":null,\"choices\":[]}\n\n"]).1.failed);
}

/// The end of a stream of each dialect, behind its first event and piece by piece; the last piece is what makes it whole.
const ENDS: [(Dialect, &[&str]); 12] = [
    (Dialect::OpenAiChat, &[TEXT, USAGE, DONE]),
    (Dialect::OpenAiChat, &[TEXT, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"]),
    (
        Dialect::OpenAiResponses,
        &["data: {\"type\":\"response.created\",\"response\":{}}\n\n", "data: {\"type\":\"response.completed\"}\n\n"],
    ),
    (Dialect::OpenAiResponses, &["data: {\"type\":\"response.incomplete\"}\n\n"]),
    (Dialect::OpenAiResponses, &["data: {\"type\":\"response.cancelled\"}\n\n"]),
    (
        Dialect::AnthropicMessages,
        &["data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n", "data: {\"type\":\"message_stop\"}\n\n"],
    ),
    (Dialect::Gemini, &["data: {\"candidates\":[{\"content\":{}}]}\n\n", "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n"]),
    (Dialect::Gemini, &["data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n"]),
    (Dialect::Gemini, &["data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}"]),
    (
        Dialect::BedrockConverse,
        &["event: messageStart\ndata: {\"role\":\"assistant\"}\n\n", "event: messageStop\ndata: {\"stopReason\":\"end_turn\"}\n\n"],
    ),
    (Dialect::OpenAiChat, &["data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n", "data: [DONE]"]),
    (
        Dialect::OpenAiChat,
        &["data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"},{\"delta\":{},\"finish_reason\":null}]}\n\n", DONE],
    ),
];

#[test]
fn a_stream_is_whole_when_its_terminator_has_passed_and_not_before() {
    for (dialect, pieces) in ENDS {
        for usage_events in [UsageEvents::Forward, UsageEvents::Withhold] {
            let whole = |pieces: &[&str]| run(StreamMeter::new(dialect, usage_events), pieces).1.is_whole();
            assert!(whole(pieces), "{dialect:?}: {pieces:?}");
            for end in 0..pieces.len() {
                assert!(!whole(&pieces[..end]), "{dialect:?}: {:?}", &pieces[..end]);
            }
            // Cut inside the event that ends it.
            let (last, before) = pieces.split_last().unwrap();
            let data = last.find("data:").unwrap() + "data:".len()..last.trim_end().len();
            for cut in data {
                let (half, _) = last.split_at(cut);
                assert!(!whole(&[before, &[half]].concat()), "{dialect:?}: {half}");
            }
        }
    }
}

#[test]
fn a_choice_that_goes_on_behind_one_that_has_ended_is_not_whole() {
    let ended = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert!(run(forwarding(), &[TEXT, ended, USAGE]).1.is_whole());
    assert!(!run(forwarding(), &[ended, TEXT]).1.is_whole());
    assert!(!run(forwarding(), &[ended, "data: {\"choices\":[],\"usa"]).1.is_whole());
}

#[test]
fn an_error_is_no_whole_answer_and_a_last_event_that_nobody_can_read_may_be_the_end_of_one() {
    assert!(!run(forwarding(), &[TEXT, "data: {\"error\":{\"message\":\"x\"}}\n\n", DONE]).1.is_whole());
    let long = format!("data: {{\"type\":\"response.completed\",\"x\":\"{}\"}}\n\n", "y".repeat(100));
    let limited = || StreamMeter::with_limit(Dialect::OpenAiResponses, UsageEvents::Forward, 64);
    let (before, behind) = long.split_at(100);
    assert!(run(limited(), &[before, behind]).1.is_whole());
    assert!(!run(limited(), &[before, behind.trim_end()]).1.is_whole());
    assert!(!run(limited(), &[before, behind, "data: {\"type\":\"response.in_progress\"}\n\n"]).1.is_whole());
}

#[test]
fn an_event_without_end_is_not_held_beyond_the_limit() {
    for usage_events in [UsageEvents::Forward, UsageEvents::ForwardWhole, UsageEvents::Withhold] {
        let meter = StreamMeter::with_limit(Dialect::OpenAiChat, usage_events, 16);
        let chunks = ["data: 0123", "456789abcdef", "ghi", "\n\n", USAGE, "data: x\n\ndata: y"];
        let (forwarded, outcome) = run(meter, &chunks);
        let expected = if usage_events == UsageEvents::Withhold { chunks.concat().replace(USAGE, "") } else { chunks.concat() };
        assert_eq!([forwarded.as_bytes(), &outcome.held].concat(), expected.as_bytes());
        assert_eq!(outcome.reported.unwrap().input_tokens, Some(5));
        assert_eq!(outcome.unread_events, 2);
    }
}

#[test]
fn a_delayed_report_goes_on_with_the_terminator_however_the_stream_is_cut() {
    let stream = [TEXT, USAGE, ": ping\n\n", DONE].concat();
    for at in 0..stream.len() {
        let (mut meter, mut forward) = (StreamMeter::new(Dialect::OpenAiChat, UsageEvents::Delay), Vec::new());
        let (first, second) = stream.split_at(at);
        meter.push(Bytes::copy_from_slice(first.as_bytes()), &mut forward);
        assert!(!String::from_utf8_lossy(&forward.concat()).contains("usage"), "cut at {at}");
        meter.push(Bytes::copy_from_slice(second.as_bytes()), &mut forward);
        assert_eq!(forward.concat(), [TEXT, ": ping\n\n", USAGE, DONE].concat().as_bytes(), "cut at {at}");
        assert!(meter.finish().delayed.is_empty());
    }
    let (forwarded, outcome) = run(StreamMeter::new(Dialect::OpenAiChat, UsageEvents::Delay), &[TEXT, USAGE]);
    assert_eq!((forwarded.as_str(), &*outcome.delayed), (TEXT, USAGE.as_bytes()), "a provider may leave the terminator out");
}

#[test]
fn an_error_of_ours_begins_on_a_line_of_its_own() {
    let error = ErrorReply { status: 502, message: "gone", kind: "upstream_error", code: None, param: None, budget: None };
    let event = "data: {\"error\":{\"message\":\"gone\",\"type\":\"upstream_error\",\"code\":null,\"param\":null}}\n\n";
    let cut = [TEXT, "data: {\"cho"];
    let (_, outcome) = run(forwarding(), &cut);
    assert_eq!(outcome.error_event(Dialect::OpenAiChat, &error), format!("\n\n{event}"));
    let (forwarded, outcome) = run(StreamMeter::new(Dialect::OpenAiChat, UsageEvents::ForwardWhole), &cut);
    assert_eq!(forwarded, TEXT);
    assert_eq!(outcome.error_event(Dialect::OpenAiChat, &error), event);
}

#[test]
fn a_cut_inside_an_event_is_said_so_that_our_error_can_stand_alone() {
    let (_, outcome) = run(forwarding(), &["data: {\"choi"]);
    assert!(outcome.mid_event && outcome.held.is_empty());
    let (forwarded, outcome) = run(withholding(), &["data: {\"choi"]);
    assert!(!outcome.mid_event && forwarded.is_empty());
    assert_eq!(outcome.held, "data: {\"choi");
}

#[test]
fn a_line_break_cut_in_two_is_not_held() {
    for meter in [forwarding(), withholding()] {
        let (forwarded, outcome) = run(meter, &["data: [DONE]\r\n\r", "\n"]);
        assert_eq!(forwarded, "data: [DONE]\r\n\r\n");
        assert!(outcome.done && !outcome.mid_event && outcome.held.is_empty());
    }
}

#[test]
fn a_report_that_can_not_be_read_is_kept_as_an_error() {
    let (_, outcome) = run(forwarding(), &[&USAGE.replace(":5", ":-5")]);
    assert!(outcome.usage_error.is_some() && outcome.reported.is_none());
    assert_eq!(outcome.verdict(PROMPT).source, UsageSource::PartialEstimate);
}
