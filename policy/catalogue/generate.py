#!/usr/bin/env python3
"""Writes models.json (the built-in catalogue) and costs.json (costs that its prices must reproduce).

    python3 -m venv venv && venv/bin/pip install genai-prices==0.2.3
    pip download --no-deps litellm==1.110.2 && unzip litellm-*.whl 'litellm/model_prices*'
    venv/bin/python generate.py litellm/model_prices_and_context_window_backup.json

Prices, tiers and dates are genai-prices' record of the vendors' price pages; limits and capabilities are litellm's record of their model
pages, and a model is listed only where both know it and neither calls it retired. Hand-kept here: which names are left out, the
quality tiers, and the simulated models. Where a price depends on the hour the dearest one is taken; a price by another unit than
the token or the request (searches, pages, hours of sound) is left out.
"""

import json
import re
import sys
from datetime import date, datetime, timezone
from decimal import ROUND_UP, Decimal
from importlib.metadata import version
from pathlib import Path

from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, StartDateConstraint, TieredPrices

PINNED = "0.2.3"
TODAY = date(2026, 11, 25)
HERE = Path(__file__).parent

# Ours: (name in genai-prices, prefixes in litellm, providers in litellm).
VENDORS = {
    "openai": ("openai", [""], ["openai"]),
    "anthropic": ("anthropic", [""], ["anthropic"]),
    "google": ("google", ["gemini/"], ["gemini"]),
    "azure": ("azure", ["azure/"], ["azure"]),
    "bedrock": ("aws", [""], ["bedrock", "bedrock_converse"]),
    "vertex": ("google", ["vertex_ai/", ""], ["vertex_ai-language-models", "vertex_ai-anthropic_models"]),
    "groq": ("groq", ["groq/"], ["groq"]),
    "mistral": ("mistral", ["mistral/"], ["mistral"]),
    "deepseek": ("deepseek", ["deepseek/"], ["deepseek"]),
    "xai": ("x-ai", ["xai/"], ["xai"]),
    "together": ("together", ["together_ai/"], ["together_ai"]),
    "fireworks": ("fireworks", ["fireworks_ai/"], ["fireworks_ai"]),
    "cerebras": ("cerebras", ["cerebras/"], ["cerebras"]),
    "perplexity": ("perplexity", ["perplexity/"], ["perplexity"]),
    "cohere": ("cohere", [""], ["cohere_chat", "cohere"]),
    "openrouter": ("openrouter", [], []),
}
# Listed with prices alone, because the record of limits does not have them (yet).
PRICES_ALONE = {
    "anthropic": re.compile(r"^claude-(fable|mythos)-5-2$"),
    "openrouter": re.compile(
        r"^(anthropic/claude-\w+-[45]\.?\d?|openai/(gpt-(4o|4\.1|[56])[^:]*|o\d[^:]*)|google/gemini-(2\.5|3|4)[^:]*|x-ai/grok-[4-9][^:]*|x-ai/grok-(build|code)[^:]*|"
        r"deepseek/deepseek-v(3\.2|4)[^:]*|mistralai/[^:]*-2[56]\d\d|mistralai/mistral-(large-4-0|medium-3[^:]*)|qwen/qwen3\.[5-9][^:]*|"
        r"z-ai/glm-5[^:]*|moonshotai/kimi-k[23][^:]*)$"
    ),
}
LEFT_OUT = re.compile(
    r"realtime|-live|prompt-guard|computer-use|@default$|^ada$|gpt-35|o1-mini|native-audio|transcribe|whisper|tts|moderation|^ft:|preview-0[1-9]|-exp(-|$)|-streaming|gpt-3\.5|gpt-4($|-[^o])|gpt-4-|davinci|babbage|"
    r"gemini-(pro|flash|1|2\.0)|chatgpt|claude-(v|2|instant|3)|llama-?2|:free|titan-text|^(us-gov|bedrock|\w+-\w+-\d/)|/\w+-month|"
    r"^(eu|us|standard|global|global-standard)/"
)
MODES = {"chat", "responses", "embedding", "image_generation", "completion"}
CAPABILITIES = [
    ("tools", "supports_function_calling"),
    ("parallel_tools", "supports_parallel_function_calling"),
    ("vision", "supports_vision"),
    ("json_schema", "supports_response_schema"),
    ("reasoning", "supports_reasoning"),
    ("prompt_caching", "supports_prompt_caching"),
    ("audio_input", "supports_audio_input"),
    ("audio_output", "supports_audio_output"),
    ("pdf_input", "supports_pdf_input"),
]
BUCKETS = {
    "input_mtok": "input", "cache_read_mtok": "cached_input", "cache_write_mtok": "cache_write", "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output", "output_reasoning_mtok": "reasoning", "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cached_audio", "output_audio_mtok": "output_audio", "input_image_mtok": "input_image",
    "cache_image_read_mtok": "cached_image", "output_image_mtok": "output_image",
}
PREMIUM = re.compile(r"opus|fable|mythos|gpt-5($|\.\d$)|^o3$|astra|-pro$|^o1")
STANDARD = re.compile(r"sonnet|gpt-4o$|gpt-5-mini|command-a|large")
SIMULATED = [("*", "0.1", "0.01", "0.4", "economy"), ("sim-large", "2", "0.2", "8", "premium"), ("sim-small", "0.1", "0.01", "0.4", "economy")]


def text(amount):
    return format(amount.normalize(), "f")


def rate(amount):
    """A price with the nine decimals that are kept; the few that have more are rounded up."""
    return text(amount.quantize(Decimal("1e-9"), ROUND_UP))


def is_exact(price):
    values = [getattr(price, key) for key in BUCKETS]
    return all(base(value) == Decimal(rate(base(value))) for value in values)


# Made for one purpose, so that nobody wants to come by them by price alone: they have no quality tier.
SPECIAL = re.compile(
    r"embed|ada-002|image|audio|search|transcribe|tts|realtime|guard|moderation|rosalind|cyber|ocr|lyria|veo|robotics|computer-use"
)


def quality(model, output):
    if PREMIUM.search(model):
        return "premium"
    if STANDARD.search(model):
        return "standard"
    return "economy" if output < 2 else "standard" if output < 10 else "premium"


def rates(price):
    """One flat set of rates, and one more for each threshold above which other rates hold."""
    known = {ours: getattr(price, theirs) for theirs, ours in BUCKETS.items() if getattr(price, theirs) is not None}
    starts = sorted({tier.start for value in known.values() if isinstance(value, TieredPrices) for tier in value.tiers})

    def at(value, start):
        if not isinstance(value, TieredPrices):
            return value
        return next((tier.price for tier in reversed(value.tiers) if start is not None and start >= tier.start), value.base)

    flat = {name: rate(at(value, None)) for name, value in known.items()}
    flat.setdefault("output", "0")
    if price.requests_kcount is not None:
        flat["request"] = rate(price.requests_kcount / 1000)
    # Sound and pictures in the cache: the vendor's rate, or that of the same tokens outside of it, which is never lower.
    for kind in ("audio", "image"):
        if f"input_{kind}" in known and f"cached_{kind}" not in known:
            flat[f"cached_{kind}"] = flat[f"input_{kind}"]
    if starts:
        flat["above"] = [{"input_tokens": start, **{name: rate(at(value, start)) for name, value in known.items()}} for start in starts]
    return flat


def periods(model):
    """Rates with the days they hold from and to, from the ones that hold today on."""
    conditions = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    starts = sorted({c.constraint.start_date for c in conditions if isinstance(c.constraint, StartDateConstraint)})
    for begin, end in zip([None, *starts], [*starts, None]):
        if end is not None and end <= TODAY:
            continue
        day = begin or (starts[0].replace(year=starts[0].year - 1) if starts else TODAY)
        at = [model.get_prices(datetime(day.year, day.month, day.day, hour, 30, tzinfo=timezone.utc)) for hour in range(24)]
        dearest = max(at, key=lambda price: base(price.output_mtok) + base(price.input_mtok))
        yield begin, end, dearest


def base(value):
    return value.base if isinstance(value, TieredPrices) else value or Decimal(0)


def batch_percent(model, price):
    """What a batch costs of the usual price, where that is one factor for all buckets."""
    for variant in model.price_variants or []:
        if variant.when == {"processing": "batch"}:
            of = variant.prices
            parts = {base(getattr(of, k)) / base(getattr(price, k)) for k in BUCKETS if getattr(of, k) is not None and base(getattr(price, k))}
            if len(parts) == 1 and (percent := parts.pop() * 100) == int(percent):
                return int(percent)
    return None


def candidates(limits, prefixes, owners):
    for key, facts in limits.items():
        prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
        name = key[len(prefix) :] if prefix is not None else key
        retired = facts.get("deprecation_date", "9999") <= TODAY.isoformat()
        if facts.get("litellm_provider") in owners and prefix is not None and facts.get("mode") in MODES and not retired:
            yield name, facts


def undated(name):
    return re.sub(r"[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$", "", name)


def lines(limits):
    for vendor, (theirs, prefixes, owners) in VENDORS.items():
        provider = next(provider for provider in providers if provider.id == theirs)
        found = {}
        alone = [(model.id, None) for model in provider.models if vendor in PRICES_ALONE and PRICES_ALONE[vendor].search(model.id)]
        for name, facts in [*candidates(limits, prefixes, owners), *alone]:
            model = provider.find_model(name, all_providers=providers)
            if model is None or model.deprecated or LEFT_OUT.search(name):
                continue
            for begin, end, price in periods(model):
                if price.input_mtok is None and price.output_mtok is None:
                    continue
                found[name, begin] = (line(vendor, name, facts, provider, model, begin, end, price), model, price)
        for (name, begin), entry in sorted(found.items(), key=lambda item: (item[0][0], str(item[0][1] or ""))):
            plain = found.get((undated(name), begin))
            # A dated name follows the undated one, unless it costs something else.
            if undated(name) != name and plain is not None and same_price(plain[0], entry[0]):
                continue
            yield entry


def same_price(one, other):
    facts = lambda line: {k: v for k, v in line.items() if k not in ("model", "capabilities", "context_tokens", "max_output_tokens", "tier")}
    return facts(one) == facts(other)


def line(vendor, name, facts, provider, model, begin, end, price):
    flat = rates(price)
    out = {"vendor": vendor, "model": name, **{k: v for k, v in flat.items() if k != "above"}}
    if "above" in flat:
        out["above"] = flat["above"]
    if (percent := batch_percent(model, price)) is not None:
        out["batch_percent"] = percent
    if context := model.context_window or (facts or {}).get("max_input_tokens"):
        out["context_tokens"] = int(context)
    if facts is not None:
        if facts["mode"] in ("chat", "responses") and facts.get("max_output_tokens"):
            out["max_output_tokens"] = min(int(facts["max_output_tokens"]), out.get("context_tokens", 1 << 31))
        out["capabilities"] = [ours for ours, theirs in CAPABILITIES if facts.get(theirs)]
    if not SPECIAL.search(name.split("/")[-1]):
        out["tier"] = quality(name.split("/")[-1], base(price.output_mtok))
    if begin is not None:
        out["from"] = begin.isoformat()
    if end is not None:
        out["to"] = end.isoformat()
    out["source"] = provider.pricing_urls[0]
    out["as_of"] = TODAY.isoformat()
    return out


def simulated():
    for name, cost, cached, output, tier in SIMULATED:
        yield {"vendor": "simulated", "model": name, "input": cost, "cached_input": cached, "output": output, "context_tokens": 128000,
               "max_output_tokens": 4096, "capabilities": ["tools", "parallel_tools", "vision", "json_schema"], "tier": tier,
               "source": "made up for the simulated provider", "as_of": TODAY.isoformat()}


def shapes(line):
    """Usages in our disjoint buckets that reach every bucket which the line prices, on both sides of every threshold."""
    kinds = [kind for kind in BUCKETS.values() if kind in line and kind not in ("input", "output")]
    sizes = [1, 997] + [size for tier in line.get("above", []) for size in (tier["input_tokens"], tier["input_tokens"] + 1)]
    for size in sizes:
        yield {"input": size, "output": 311}
        if kinds:
            # The cached, written, sounding and pictured part of the input is a third at most, and stays within the size.
            ins = [kind for kind in kinds if "output" not in kind and kind != "reasoning"]
            part = size // (3 * max(len(ins), 1))
            usage = {kind: part if kind in ins else 97 for kind in kinds if part > 0 or kind not in ins}
            yield {"input": size - part * len(ins), "output": 1013, **usage}


def usage_of(tokens):
    """The same as genai-prices takes it: wholes that contain their parts."""
    def count(*names):
        return sum(tokens.get(name, 0) for name in names)
    inputs = ("input", "cached_input", "cache_write", "cache_write_1h", "input_audio", "cached_audio", "input_image", "cached_image")
    parts = {
        "input_tokens": count(*inputs),
        "cache_read_tokens": count("cached_input", "cached_audio", "cached_image"),
        "cache_write_tokens": count("cache_write", "cache_write_1h"),
        "cache_write_1h_tokens": count("cache_write_1h"),
        "output_tokens": count("output", "reasoning", "output_audio", "output_image"),
        "output_reasoning_tokens": count("reasoning"),
        "input_audio_tokens": count("input_audio", "cached_audio"),
        "cache_audio_read_tokens": count("cached_audio"),
        "output_audio_tokens": count("output_audio"),
        "input_image_tokens": count("input_image", "cached_image"),
        "cache_image_read_tokens": count("cached_image"),
        "output_image_tokens": count("output_image"),
    }
    return Usage(**{name: value for name, value in parts.items() if value})


def costs(entries):
    taken = {}
    for line, _, price in entries:
        if date.fromisoformat(line.get("from", "0001-01-01")) > TODAY or not is_exact(price):
            continue
        # Of models that price the same way a few stand for all.
        shape = (line["vendor"], tuple(k for k in line if k in BUCKETS.values()), "above" in line, "request" in line)
        taken[shape] = taken.get(shape, 0) + 1
        if taken[shape] > 3:
            continue
        for tokens in shapes(line):
            cost = price.calc_price(usage_of(tokens))["total_price"]
            yield {"vendor": line["vendor"], "model": line["model"], "tokens": tokens, "usd": text(cost)}


def write(path, note, name, rows):
    body = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f'{{\n  "//": {json.dumps(note)},\n  "{name}": [\n{body}\n  ]\n}}\n')


def main():
    assert version("genai-prices") == PINNED, f"needs genai-prices {PINNED}"
    limits = json.loads(Path(sys.argv[1]).read_text())
    entries = list(lines(limits))
    note = (
        "Made by generate.py; change that. USD per million tokens, `request` USD per call, `above` where the whole input is larger, "
        "`batch_percent` what a batch costs of it. `as_of` is the day the source was read."
    )
    rows = [entry[0] for entry in entries] + list(simulated())
    write(HERE / "models.json", note, "models", sorted(rows, key=lambda row: row["vendor"]))
    write(HERE / "costs.json", f"Made by generate.py: what genai-prices {PINNED} computes for usages in our buckets.", "costs", list(costs(entries)))


main()
