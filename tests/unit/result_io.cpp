// SPDX-License-Identifier: Apache-2.0
#include "harness/result/result_io.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>

#include "harness/cost/summary.h"
#include "harness/result/merge.h"
#include "kernels/core/error.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Every optional member is filled somewhere, every list has an entry.
ResultFile full_file() {
  ResultFile file = fixture::result_file();
  file.depths = {fixture::depths(file.points[1], "moe", {1, 2, 4}, {0.03, 0.05, 0.09})};
  file.warnings = {{"huge_pages", "transparent huge pages are off"}};
  file.price->labels = {PriceLabel::example, PriceLabel::no_electricity};
  file.complete = false;  // of six points one has its depths
  file.policy = PolicyRecord{3, 0.6, 3, 30, 5e-4, 18446744073709551615u, true, {1, 2, 4}, {"linear=plain_loops"}};
  file.models[1].digest = "2b31d9b11740911e";
  file.models[1].weights_from = "model.gguf";
  file.points[0].parts[0].rounds[1].layers = 6;
  for (Sample& sample : file.points[0].parts[0].rounds[1].samples) sample.section_s *= 2;
  PartRecord& part = file.points[1].parts[0];
  part.verdict->experts_checked = 4;
  part.ops[0].time_s = 0.005;
  part.ops[1].product_flops = {{"bf16 x q4_k", 0.25e9}, {"bf16 x q6_k", 0.125e9}};
  for (Round& round : part.rounds)
    for (Sample& sample : round.samples)
      sample.roofs_before.product_flops_per_s =
          sample.roofs_after.product_flops_per_s = {{"bf16 x q4_k", 300e9}, {"bf16 x q6_k", 200e9}};
  PartRecord& memory = file.points[3].parts[1];
  memory = PartRecord{};
  memory.kind = "head";
  memory.count = 1;
  memory.outcome = Outcome::out_of_memory;
  memory.why = "needs more";
  memory.need_bytes = 66'100'000'000;
  memory.have_bytes = 16'800'000'000;
  return file;
}

std::string text_of(const ResultFile& file, const Json& summary = nullptr) { return result_to_text(file, summary); }

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(ResultIo, RoundTripIsTheSameFile) {
  const ResultFile file = full_file();
  const std::string text = text_of(file);
  const ResultFile back = result_from_text("r.json", text);
  EXPECT_EQ(text_of(back), text);
  // The text is the same; so is what it stands for.
  ASSERT_EQ(back.points.size(), file.points.size());
  const PartRecord &a = file.points[1].parts[0], &b = back.points[1].parts[0];
  EXPECT_EQ(b.kind, a.kind);
  EXPECT_EQ(b.rounds.size(), 3u);
  EXPECT_EQ(b.rounds[2].samples[4].time_s, a.rounds[2].samples[4].time_s);
  EXPECT_EQ(b.rounds[2].samples[4].roofs_after.flops_per_s, 500e9);
  EXPECT_EQ(b.rounds[2].samples[4].roofs_before.product_flops_per_s.at("bf16 x q6_k"), 200e9);
  EXPECT_EQ(b.ops[1].product_flops, a.ops[1].product_flops);
  EXPECT_TRUE(back.points[0].parts[0].rounds[0].samples[0].roofs_after.product_flops_per_s.empty());
  EXPECT_EQ(b.rounds[2].samples[4].distinct_experts, 2);
  EXPECT_EQ(b.routing->seed, 18446744073709551615u);  // more than a JSON number keeps
  EXPECT_EQ(b.routing->histogram, (std::vector<std::int64_t>{15, 14, 16, 15}));
  EXPECT_EQ(b.verdict->experts_checked, 4);
  EXPECT_EQ(b.labels, a.labels);
  EXPECT_EQ(back.points[3].parts[1].need_bytes, 66'100'000'000u);
  EXPECT_EQ(back.points[3].parts[1].outcome, Outcome::out_of_memory);
  EXPECT_FALSE(back.points[3].parts[1].verdict);
  EXPECT_EQ(back.price->usd_per_hour, 0.72);
  EXPECT_EQ(back.environment.libraries, file.environment.libraries);
  EXPECT_EQ(back.environment.threads, 8);
  EXPECT_FALSE(back.models[0].experts);
  EXPECT_EQ(back.models[1].experts, 4);
  EXPECT_FALSE(back.points[1].memory.largest_batch);
  EXPECT_EQ(back.command, file.command);
}

// TR-05
TEST(ResultIo, AHundredThousandDoublesComeBackBitForBit) {
  ResultFile file = fixture::result_file();
  Round& round = file.points[0].parts[0].rounds[0];
  std::mt19937_64 generator(42);
  const auto positive = [&] {
    for (;;) {
      const double value = std::bit_cast<double>(generator() >> 1);  // any exponent, sign cleared
      if (std::isnormal(value / 3)) return value;
    }
  };
  round.samples.assign(100'000 / 5, {});
  for (Sample& sample : round.samples) {
    const double section_s = positive();  // three layers
    sample = {section_s / 3, section_s, 1, {positive(), positive()}, {positive(), positive()}, {}, positive()};
  }
  file.price->usd_per_hour = 0.1 + 0.2;
  const ResultFile back = result_from_text("r.json", text_of(file));
  EXPECT_EQ(std::bit_cast<std::uint64_t>(back.price->usd_per_hour), std::bit_cast<std::uint64_t>(0.1 + 0.2));
  const Round& read = back.points[0].parts[0].rounds[0];
  ASSERT_EQ(read.samples.size(), round.samples.size());
  for (std::size_t i = 0; i < read.samples.size(); ++i) {
    const Sample &a = round.samples[i], &b = read.samples[i];
    ASSERT_TRUE(a.time_s == b.time_s && a.section_s == b.section_s && a.host_section_s == b.host_section_s &&
                a.roofs_before.read_bytes_per_s == b.roofs_before.read_bytes_per_s &&
                a.roofs_before.flops_per_s == b.roofs_before.flops_per_s)
        << i;
  }
}

TEST(ResultIo, MoneyAndSeedsAreText) {
  const Json json = Json::parse(text_of(full_file()));
  EXPECT_EQ(json["price"]["usd_per_h"], "0.72");
  EXPECT_EQ(json["points"][1]["parts"][0]["routing"]["seed"], "18446744073709551615");
}

TEST(ResultIo, WhatIsMissingHasNoKey) {
  ResultFile file = fixture::result_file();
  file.price.reset();
  const Json json = Json::parse(text_of(file));
  EXPECT_FALSE(json.contains("price"));
  EXPECT_FALSE(json.contains("summary"));
  EXPECT_FALSE(json.contains("peers"));
  EXPECT_FALSE(json["points"][0]["parts"][0]["ops"][0].contains("time_s"));
  EXPECT_FALSE(json["models"][0].contains("experts"));
  EXPECT_FALSE(json["points"][0]["parts"][0].contains("need_bytes"));
}

TEST(ResultIo, NotANumberIsRefusedAndNamed) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    ResultFile file = fixture::result_file();
    file.points[1].parts[0].rounds[2].samples[1].time_s = bad;
    const std::string message = message_of([&] { text_of(file); });
    EXPECT_NE(message.find("points[1].parts[0].rounds[2].samples[1].time_s"), std::string::npos) << message;
    Json summary = to_json(summarise(fixture::result_file()));
    summary["models"][0]["time_s"] = bad;
    EXPECT_NE(message_of([&] { text_of(fixture::result_file(), summary); }).find("summary.models[0].time_s"),
              std::string::npos);
  }
}

// A kernel that returned NaN makes the error NaN. That is a result, and must not cost the rest of the run.
TEST(ResultIo, AWrongOutputWithNaNIsStored) {
  ResultFile file = fixture::result_file();
  PartRecord& part = file.points[0].parts[0];
  part.outcome = Outcome::wrong;
  part.why = "row 3 holds NaN";
  part.rounds.clear();
  part.verdict->ok = false;
  part.verdict->rel_l2 = part.verdict->gain = std::nan("");
  const std::string text = text_of(file);
  EXPECT_FALSE(Json::parse(text)["points"][0]["parts"][0]["verdict"].contains("rel_l2"));
  EXPECT_TRUE(std::isnan(result_from_text("r.json", text).points[0].parts[0].verdict->rel_l2));
  part.verdict->ok = true;
  part.outcome = Outcome::failed;
  EXPECT_NE(message_of([&] { text_of(file); }).find("figures missing"), std::string::npos);
}

TEST(ResultIo, ControlCharactersNeverReachTheFile) {
  ResultFile file = fixture::result_file();
  file.environment.device_name = "evil\x1b[31m\nname\xff";
  file.points[0].parts[0].why = std::string(10'000, 'x');
  const ResultFile back = result_from_text("r.json", text_of(file));
  EXPECT_EQ(back.environment.device_name, "evil?[31m?name?");
  EXPECT_EQ(back.points[0].parts[0].why.size(), 4096u);
}

// What the types of record.h cannot rule out is refused in both directions.
TEST(ResultIo, RefusesWhatTheRulesForbid) {
  const std::pair<const char*, std::function<void(ResultFile&)>> cases[] = {
      {"without a passed check", [](ResultFile& f) { f.points[0].parts[0].verdict.reset(); }},
      {"without a passed check", [](ResultFile& f) { f.points[0].parts[0].verdict->ok = false; }},
      {"without samples", [](ResultFile& f) { f.points[0].parts[0].rounds.clear(); }},
      {"wrong, but with samples", [](ResultFile& f) { f.points[0].parts[0].outcome = Outcome::wrong; }},
      {"round 1 appears twice", [](ResultFile& f) { f.points[0].parts[0].rounds[2].index = 1; }},
      {"same point appears twice", [](ResultFile& f) { f.points.push_back(f.points[0]); }},
      {"same kind appears twice", [](ResultFile& f) { f.points[0].parts.push_back(f.points[0].parts[0]); }},
      {"is not in models", [](ResultFile& f) { f.points[0].model = "other"; }},
      {"is not in models", [](ResultFile& f) { f.pairs[0].moe = "other"; }},
      {"appears twice", [](ResultFile& f) { f.models.push_back(f.models[0]); }},
      {"\"decode\" or \"prefill\"", [](ResultFile& f) { f.points[0].phase = "train"; }},
      {"3 entries for 4 experts", [](ResultFile& f) { f.points[1].parts[0].routing->histogram.pop_back(); }},
      {"1 depths and 0 times", [](ResultFile& f) { f.depths = {fixture::depths(f.points[1], "moe", {1}, {})}; }},
      {"samples[0].time_s: 0 s over 2 passes of 3 layers are not the section of 0.3825 s",
       [](ResultFile& f) { f.points[0].parts[0].rounds[0].samples[0].time_s = 0; }},
      {"samples[0].time_s", [](ResultFile& f) { f.points[0].parts[0].rounds[0].samples[0].time_s = -1; }},
      {"out of range", [](ResultFile& f) { f.points[0].parts[0].rounds[0].neighbour_cpus = -1; }},
      {"out of range", [](ResultFile& f) { f.price->usd_per_hour = 0; }},
      {"points[0].tokens: 1, but batch 0", [](ResultFile& f) { f.points[0].batch = 0; }},
      {"outside 1..", [](ResultFile& f) { f.points[0].memory.largest_batch = 0; }},
      {"outside 0..", [](ResultFile& f) { f.models[0].parameters_total = (std::int64_t{1} << 53) + 1; }},
      {"points[1].parts[0].rounds[1].samples[0].time_s",
       [](ResultFile& f) { f.points[1].parts[0].rounds[1].layers = 4; }},
      {"too many layers",
       [](ResultFile& f) {
         f.points[0].parts[0].count = INT64_MAX;
         f.points[0].parts.push_back(f.points[0].parts[0]);
         f.points[0].parts[2].kind = "another";
       }},
      {"beyond 2^53", [](ResultFile& f) { f.points[0].parts[0].need_bytes = UINT64_MAX; }},
  };
  for (const auto& [part, spoil] : cases) {
    ResultFile file = fixture::result_file();
    spoil(file);
    EXPECT_THROW(text_of(file), std::logic_error) << part;
    const std::string message = message_of([&] { text_of(file); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

// The same file, spoiled as text: TR-04, X4.
TEST(ResultIo, RefusesSpoiledFiles) {
  struct Case {
    const char *find, *replace, *message;
  };
  const Case cases[] = {
      {"\"schema_version\": \"1.5.0\"", "\"schema_version\": \"2.0.0\"", "this program reads 1.5.0"},
      {"\"schema_version\": \"1.5.0\"", "\"schema_version\": \"1.6.0\"", "use a matching layercost"},
      {"\"schema_version\": \"1.5.0\"", "\"schema_version\": \"0.9.0\"", "use a matching layercost"},
      {"\"schema_version\": \"1.5.0\"", "\"schema_version\": \"one\"", "expected a version"},
      {"\"schema_version\": \"1.5.0\"", "\"schema_version\": \"1.0\"", "expected a version"},
      {"\"schema_version\": \"1.5.0\"", "\"schema_version\": \"1.5.0x\"", "expected a version"},
      {"\"schema_version\": \"1.5.0\"", "\"schema_version\": \"1.-1.0\"", "expected a version"},
      {"\"schema_version\": \"1.5.0\",", "", "schema_version: the key is missing"},
      {"\"complete\": true", "\"complet\": true", "the key is missing"},
      {"\"complete\": true", "\"complete\": true, \"extra\": 1", "extra: unknown key"},
      {"\"complete\": true", "\"complete\": true, \"_note\": 1", "_note: unknown key"},
      {"\"complete\": true", "\"complete\": true, \"complete\": true", "appears twice"},
      {"\"complete\": true", "\"complete\": 1", "expected true or false"},
      {"\"complete\": true", "\"complete\": null", "expected true or false"},
      {"\"complete\": true", "\"complete\": true, \"summary\": []", "expected an object"},
      {"\"outcome\": \"measured\"", "\"outcome\": \"mesured\"", "did you mean 'measured'?"},
      {"\"preliminary\"", "\"prelim\"", "unknown word"},
      {"\"time_s\":0.06375", "\"time_s\":NaN", "not valid JSON"},
      {"\"time_s\":0.06375", "\"time_s\":Infinity", "not valid JSON"},
      {"\"time_s\":0.06375", "\"time_s\":1e400", "not valid JSON"},
      {"\"time_s\":0.06375", "\"time_s\":-0.06375", "time_s: expected a number"},
      {"\"time_s\":0.06375", "\"time_s\":0", "time_s: expected a number"},
      {"\"time_s\":0.06375", "\"time_s\":-0.0", "time_s: expected a number"},
      {"\"time_s\":0.06375", "\"time_s\":\"0.06375\"", "time_s: expected a number"},
      {"\"time_s\":0.06375", "\"time_s\":null", "time_s: expected a number"},
      {"\"passes\":2", "\"passes\":2,\"speed\":1", "samples[0].speed: unknown key"},
      {"\"passes\":2", "\"passes\":2.0", "passes: expected an integer"},
      {"\"passes\":2", "\"passes\":99999999999999999999", "passes: expected an integer"},
      {"\"passes\":2", "\"passes\":-2", "passes: expected an integer"},
      {"\"device\": \"cpu\"", "\"device\": \"c\\u001bpu\"", "without control characters"},
      {"\"device\": \"cpu\"", "\"device\": \"c\\u202epu\"", "without control characters"},
      {"\"usd_per_h\":\"0.72\"", "\"usd_per_h\":0.72", "expected a text"},
      {"\"usd_per_h\":\"0.72\"", "\"usd_per_h\":\"free\"", "positive decimal"},
      {"\"usd_per_h\":\"0.72\"", "\"usd_per_h\":\"0\"", "positive decimal"},
      {"\"usd_per_h\":\"0.72\"", "\"usd_per_h\":\"-1\"", "positive decimal"},
      {"\"usd_per_h\":\"0.72\"", "\"usd_per_h\":\"nan\"", "positive decimal"},
      {"\"usd_per_h\":\"0.72\"", "\"usd_per_h\":\"inf\"", "positive decimal"},
      {"\"seed\":\"18446744073709551615\"", "\"seed\":\"18446744073709551616\"", "at most 64 bits"},
      {"\"seed\":\"18446744073709551615\"", "\"seed\":\"\"", "at most 64 bits"},
      {"\"seed\":\"18446744073709551615\"", "\"seed\":\"-1\"", "at most 64 bits"},
      {"\"largest_batch\":12", "\"largest_batch\":null", "what is missing has no key"},
      {"\"ok\":true", "\"ok\":false", "without a passed check"},
      {"\"flops\":200000000.0", "\"flops\":200000000.0,\"product_flops\":{\"f32\":-1}", "f32: expected a number"},
      {"\"flops\":200000000.0", "\"flops\":200000000.0,\"product_flops\":{\"f32\":\"1\"}", "f32: expected a number"},
      {"\"flops\":200000000.0", "\"flops\":200000000.0,\"product_flops\":null", "what is missing has no key"},
      {"\"flops\":200000000.0", "\"flops\":200000000.0,\"product_flops\":{\"\\u202e\":1}",
       "without control characters"},
      {"\"flops\":200000000.0", "\"flops\":200000000.0,\"product_flops\":{\"f32\":1.5e8,\"bf16 x q8_0\":1.5e8}",
       "more than all of it"},
      {"\"flops_per_s\":500000000000.0", "\"flops_per_s\":500000000000.0,\"product_flops_per_s\":{\"f32\":0}",
       "f32: expected a number"},
      {"\"flops_per_s\":500000000000.0", "\"flops_per_s\":500000000000.0,\"product_flops_per_s\":[]",
       "expected an object"},
  };
  const std::string good = text_of(fixture::result_file());
  ASSERT_EQ(message_of([&] { result_from_text("r.json", good); }), "");
  for (const Case& c : cases) {
    std::string text = good;
    const std::size_t at = text.find(c.find);
    ASSERT_NE(at, std::string::npos) << c.find;
    text.replace(at, std::string(c.find).size(), c.replace);
    const std::string message = message_of([&] {
      EXPECT_THROW(result_from_text("r.json", text), BadInput) << c.replace;
      result_from_text("r.json", text);
    });
    EXPECT_NE(message.find(c.message), std::string::npos) << c.replace << ": " << message;
    EXPECT_TRUE(message.starts_with("r.json: ")) << message;
  }
}

TEST(ResultIo, RefusesPeersThatTheRulesForbid) {
  const std::pair<const char*, std::function<void(ResultFile&)>> cases[] = {
      {"no point tiny-moe decode batch 2", [](ResultFile& f) { f.peers[1].batch = 2; }},
      {"there is no point other", [](ResultFile& f) { f.peers[0].model = "other"; }},
      {"there is no point", [](ResultFile& f) { f.peers[0].weight_type = "f32"; }},
      {"there are 2 points tiny-moe",
       [](ResultFile& f) {
         f.points.push_back(f.points[1]);
         f.points.back().routing = "zipf:1";
         fixture::draw(f.points.back());
         f.peers[1].routing.clear();
       }},
      {"'head' is no kind of layer", [](ResultFile& f) { f.peers[0].kind = "head"; }},
      {"'moe' is no kind of layer", [](ResultFile& f) { f.peers[0].kind = "moe"; }},
      {"the name of another program", [](ResultFile& f) { f.peers[0].implementation = "layercost"; }},
      {"the name of another program", [](ResultFile& f) { f.peers[0].implementation = ""; }},
      {"peers[2].rounds: round 1 appears twice", [](ResultFile& f) { f.peers[2].rounds[2].index = 1; }},
      {"round 0 has no samples", [](ResultFile& f) { f.peers[0].rounds[0].samples_s.clear(); }},
      {"no samples, and no reason", [](ResultFile& f) { f.peers[0].rounds.clear(); }},
      {"peers[6]: the same peer appears twice", [](ResultFile& f) { f.peers.push_back(f.peers[1]); }},
      {"peers[0].rounds[0].samples_s: 0 is out of range", [](ResultFile& f) { f.peers[0].rounds[0].samples_s[0] = 0; }},
      {"NaN or infinite", [](ResultFile& f) { f.peers[0].rounds[0].samples_s[1] = std::nan(""); }},
      {"peers[0].rounds[1].index: -1 is outside", [](ResultFile& f) { f.peers[0].rounds[1].index = -1; }},
      {"peers[0].threads: 0 is outside 1..", [](ResultFile& f) { f.peers[0].threads = 0; }},
      {"peers[0].layers: 0 is outside 1..", [](ResultFile& f) { f.peers[0].layers = 0; }},
  };
  for (const auto& [part, spoil] : cases) {
    ResultFile file = fixture::peers_file();
    spoil(file);
    EXPECT_THROW(text_of(file), std::logic_error) << part;
    const std::string message = message_of([&] { text_of(file); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(ResultIo, RefusesSpoiledPeers) {
  struct Case {
    const char *find, *replace, *message;
  };
  const Case cases[] = {
      {"\"samples_s\":[0.125,", "\"samples_s\":[-0.125,", "samples_s[0]: expected a number"},
      {"\"samples_s\":[0.125,", "\"samples_s\":[0,", "samples_s[0]: expected a number"},
      {"\"samples_s\":[0.125,", "\"samples_s\":[1e400,", "not valid JSON"},
      {"\"samples_s\":[0.125,", "\"samples_s\":[null,", "samples_s[0]: expected a number"},
      {"\"samples_s\":[0.125,", "\"sample_s\":[0.125,", "the key is missing"},
      {"\"samples_s\":[0.125,", "\"time_s\":1,\"samples_s\":[0.125,", "time_s: unknown key"},
      {"\"cold\":true", "\"cold\":1", "expected true or false"},
      {"\"cold\":true", "\"cold\":true,\"speed\":1", "peers[0].speed: unknown key"},
      {"\"implementation\":\"pytorch\"", "\"implementation\":\"py\\u001btorch\"", "without control characters"},
      {"\"implementation\":\"pytorch\"", "\"implementation\":\"layercost\"", "another program"},
      {"\"note\":\"\"", "\"note\":null", "expected a text"},
      {"\"threads\":8,", "\"threads\":8.5,", "threads: expected an integer"},
      {"\"peers\": [", "\"peers\": {}, \"peer\": [", "expected a list"},
  };
  const std::string good = text_of(fixture::peers_file());
  ASSERT_EQ(message_of([&] { result_from_text("r.json", good); }), "");
  for (const Case& c : cases) {
    std::string text = good;
    const std::size_t at = text.find(c.find, text.find("\"peers\": ["));
    ASSERT_NE(at, std::string::npos) << c.find;
    text.replace(at, std::string(c.find).size(), c.replace);
    const std::string message = message_of([&] {
      EXPECT_THROW(result_from_text("r.json", text), BadInput) << c.replace;
      result_from_text("r.json", text);
    });
    EXPECT_NE(message.find(c.message), std::string::npos) << c.replace << ": " << message;
  }
}

TEST(ResultIo, PeersComeBackAsTheyWere) {
  ResultFile file = fixture::peers_file();
  file.peers[4].rounds = {{0, {0.05, 0.051}}, {7, {0.0625}}};
  const Json json = Json::parse(text_of(file));
  ASSERT_EQ(json["peers"].size(), 6u);
  EXPECT_EQ(json["peers"][4], Json::parse(R"({"implementation": "llama.cpp", "version": "b7110", "detail": "",
      "model": "tiny-dense", "phase": "decode", "batch": 1, "context": 4096, "weight_type": "bf16", "kind": "dense",
      "threads": 8, "layers": 3, "cold": false, "note": "computes in f32",
      "rounds": [{"index": 0, "samples_s": [0.05, 0.051]}, {"index": 7, "samples_s": [0.0625]}]})"));
  const ResultFile back = result_from_text("r.json", text_of(file));
  ASSERT_EQ(back.peers.size(), 6u);
  EXPECT_EQ(back.peers[1].kind, "moe");
  EXPECT_EQ(back.peers[1].rounds[2].index, 2);
  EXPECT_EQ(back.peers[1].rounds[2].samples_s, file.peers[1].rounds[2].samples_s);
  EXPECT_EQ(text_of(back), text_of(file));
}

TEST(ResultIo, RefusesOversizeAndRubbish) {
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("null"), std::string("{\"schema_version\""),
        std::string(100'000, '['), "{\"schema_version\":\"" + std::string(5000, '1') + "\"}"}) {
    EXPECT_THROW(result_from_text("r.json", text), BadInput) << text.substr(0, 40);
  }
  std::string numbers = "{\"schema_version\":\"1.5.0\",\"x\":[";
  for (int i = 0; i < 4'000'001; ++i) numbers += "0,";
  EXPECT_NE(message_of([&] { result_from_text("r.json", numbers + "0]}"); }).find("holds more than"),
            std::string::npos);
  EXPECT_NE(
      message_of([&] { result_from_text("r.json", std::string(kResultMaxBytes + 1, ' ')); }).find("is larger than"),
      std::string::npos);
}

// Any byte changed: either refused or read as a file that can be written again. Never a crash.
TEST(ResultIo, EveryFlippedByteIsReadOrRefused) {
  ResultFile file = fixture::result_file();
  file.points.resize(2);
  for (PointRecord& point : file.points) {
    for (PartRecord& part : point.parts) {
      part.rounds.resize(1);
      part.rounds[0].samples.resize(1);
    }
  }
  const std::string good = text_of(file);
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string text = good;
    text[i] = static_cast<char>(text[i] ^ (1 << (i % 7)));
    try {
      const ResultFile read = result_from_text("r.json", text);
      EXPECT_NO_THROW(text_of(read));
    } catch (const BadInput&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(good.size() / 4));
}

TEST(ResultIo, WritesAndReadsFiles) {
  std::string pattern = (fs::temp_directory_path() / "layercost-result-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const fs::path path = fs::path(pattern) / "r.json";
  const ResultFile file = full_file();
  write_result(path, file, to_json(summarise(file)));
  EXPECT_EQ(text_of(read_result(path)), text_of(file));
  ResultFile bad = file;
  bad.points[0].batch = 0;
  EXPECT_THROW(write_result(path, bad, nullptr), std::logic_error);
  EXPECT_EQ(text_of(read_result(path)), text_of(file));  // the earlier file stays
  EXPECT_THROW(read_result(fs::path(pattern) / "none.json"), BadInput);
  EXPECT_THROW(read_result(pattern), BadInput);
  fs::remove_all(pattern);
}

TEST(ResultIo, ASampleIsALine) {
  const std::string text = text_of(fixture::result_file());
  EXPECT_NE(text.find("\n        {\"time_s\":0.0625,\"section_s\":0.375,\"passes\":2,"), std::string::npos);
  EXPECT_EQ(text.find("\n\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("}\n"));
}

// CPU time, which other programs on the machine hardly change. Four times the points and peers take 16 times as long
// where each is looked for among all, and four times where it is found by its key.
TEST(ResultIo, ReadingMergingAndSummingUpGrowWithTheFile) {
  const auto cpu_s = [](std::int64_t points) {
    ResultFile file = fixture::peers_file();
    const PointRecord point = file.points[0];
    const PeerRecord peer = file.peers[0];
    file.points.clear();
    file.peers.clear();
    for (std::int64_t i = 0; i < points; ++i) {
      file.points.push_back(point);
      file.peers.push_back(peer);
      file.points.back().context = file.peers.back().context = i;
      for (PartRecord& part : file.points.back().parts) {
        part.outcome = Outcome::skipped;
        part.why = "not reached";
        part.rounds.clear();
        part.ops.clear();
      }
    }
    const std::string text = text_of(file);
    const std::clock_t begin = std::clock();
    const ResultFile read = result_from_text("r.json", text);
    EXPECT_EQ(read.peers.back().device, "cpu");
    EXPECT_EQ(merge_results({{"r.json", read}}).points.size(), file.points.size());
    EXPECT_EQ(summarise(read).layers.size(), file.peers.size());
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  cpu_s(1000);
  const double small = cpu_s(2000), large = cpu_s(8000);
  EXPECT_LT(large, 8 * small) << small << " s and " << large << " s";
}

// ---- The schema

const fs::path kSchemaPath = fs::path(LAYERCOST_SOURCE_DIR) / "results" / "schema" / "layercost-result-1.schema.json";

Json load_schema() {
  std::ifstream stream(kSchemaPath);
  return Json::parse(stream);
}

struct KeyCheck {
  const Json& schema;
  std::map<std::string, std::set<std::string>> seen, always;  // by place in the schema; keys seen, keys seen every time

  const Json& resolve(const Json& node, std::string& place) const {
    const Json* at = &node;
    while (at->contains("$ref")) {
      place = (*at)["$ref"].get<std::string>();
      at = &schema.at(Json::json_pointer(place.substr(1)));
    }
    return *at;
  }

  void walk(const Json& value, const Json& node, std::string place) {
    const Json& rules = resolve(node, place);
    if (value.is_object() && rules.contains("properties")) {
      std::set<std::string> keys;
      for (const auto& [key, item] : value.items()) {
        keys.insert(key);
        ASSERT_TRUE(rules["properties"].contains(key)) << place << " does not know " << key;
        walk(item, rules["properties"][key], place + "/" + key);
      }
      if (seen.contains(place)) {
        std::erase_if(always[place], [&](const std::string& key) { return !keys.contains(key); });
      } else {
        always[place] = keys;
      }
      seen[place].insert(keys.begin(), keys.end());
    } else if (value.is_array()) {
      for (const Json& item : value) walk(item, rules.at("items"), place + "[]");
    }
  }
};

// Files that together use every key: what the schema lists is written, what is written is listed, and what the schema
// requires is always there.
std::vector<Json> example_files() {
  std::vector<Json> files;
  const auto add = [&](const ResultFile& file) {
    files.push_back(Json::parse(text_of(file, to_json(summarise(file)))));
  };
  add(full_file());
  add(fixture::result_file());                                    // a crossover between two batches
  files.push_back(Json::parse(text_of(fixture::result_file())));  // no summary
  ResultFile silent = fixture::result_file();                     // a system that tells little of its CPUs
  silent.environment.topology = TopologyRecord{2, {}, {}, {}, {{1, 2, {}, {}}}, {}};
  add(silent);
  ResultFile unequal = full_file();  // no crossover, withheld sum, no interval, no experts, no price
  unequal.depths[0].time_s = {1, 2, 6};
  unequal.depths.push_back(fixture::depths(unequal.points[3], "moe", {1}, {1}));
  unequal.price.reset();
  unequal.environment.governor.reset();
  unequal.environment.threads_pinned.reset();
  unequal.environment.topology.reset();
  unequal.environment.last_level_caches.reset();
  PartRecord& older = unequal.points[1].parts[0];  // what schema 1.2.0 brought
  older.stack->huge_page_fraction.reset();
  older.rounds[0].neighbour_cpus.reset();
  for (OpRecord& op : older.ops) op.chosen_by.reset(), op.tried.clear();
  unequal.environment.load_average.reset();
  for (PartRecord& part : unequal.points[2].parts) part.rounds.resize(1);
  for (Round& round : unequal.points[4].parts[0].rounds) {
    for (Sample& sample : round.samples) sample.roofs_before = {};
  }
  unequal.points[0].memory = {};
  PartRecord& wrong = unequal.points[5].parts[0];
  wrong.outcome = Outcome::wrong;
  wrong.why = "off";
  wrong.rounds.clear();
  wrong.verdict->ok = false;
  wrong.verdict->rel_l2 = wrong.verdict->worst_row = wrong.verdict->gain = std::nan("");
  unequal.models[1].parameters_active = unequal.models[1].parameters_total = 0;
  unequal.models[1].parameters_active_with_embedding.reset();
  for (const std::size_t p : {1u, 3u, 5u}) unequal.points[p].memory = {};
  add(unequal);
  ResultFile gpu = fixture::result_file();
  gpu.environment.gpu = fixture::gpu();
  gpu.nominal =
      NominalRecord{"example", "bf16", 989e12, 3.35e12, "a data sheet", "2026-04-03", "the same", "2026-04-03"};
  gpu.points[0].parts[0].rounds[0].conditions = fixture::conditions();
  gpu.points[0].parts[0].rounds[0].samples[0].host_section_s = 0.5;
  add(gpu);
  gpu.environment.gpu = GpuRecord{};  // a driver that tells nothing
  gpu.points[0].parts[0].rounds[0].conditions = ConditionsRecord{};
  add(gpu);
  ResultFile mixed = fixture::result_file();
  mixed.price->device = "NVIDIA H100 SXM 80 GB";
  mixed.price->utilisation = 0.6;
  mixed.models[0].parameters_total = mixed.models[1].parameters_total;  // iso-total
  mixed.price->mix = MixRecord{"3:1", 0.75, 0, 0.25};
  add(mixed);
  mixed.price->mix = MixRecord{"1:0", 1, 0, 0};  // without output, of points without a time
  for (PointRecord& point : mixed.points)
    for (PartRecord& part : point.parts)
      if (part.kind == "dense") part.outcome = Outcome::skipped, part.rounds.clear(), part.why = "not reached";
  add(mixed);
  add(fixture::peers_file());
  ResultFile two = fixture::peers_file();  // peers and depths of points that differ in their routing alone
  two.points.push_back(two.points[1]);
  two.points.back().routing = "zipf:1";
  fixture::draw(two.points.back());
  two.depths = {fixture::depths(two.points[1], "moe", {1, 2}, {1, 2})};
  add(two);
  ResultFile bare = fixture::peers_file();  // beside peers: nothing of ours, a peer without samples, no interval
  for (PointRecord& point : bare.points) {
    if (point.model != "tiny-moe") continue;
    point.parts[0].outcome = Outcome::skipped;
    point.parts[0].why = "not reached";
    point.parts[0].rounds.clear();
  }
  bare.models[1].parameters_active = 0;
  bare.peers[0].rounds.clear();
  bare.peers[0].note = "refused";
  bare.peers[2].rounds.resize(1);
  bare.peers[3].rounds.resize(1);
  add(bare);
  ResultFile never = fixture::result_file();  // crossover not reached: no crossover_batch
  never.points[3].parts[0].rounds = fixture::rounds(0.03, 4);
  never.points[2].parts[0].rounds.resize(1);
  never.points[2].parts[1].rounds.resize(1);
  add(never);
  return files;
}

TEST(ResultSchema, KnowsExactlyTheKeysThatAreWritten) {
  const Json schema = load_schema();
  KeyCheck check{schema, {}, {}};
  for (const Json& file : example_files()) check.walk(file, schema, "#");
  std::map<std::string, const Json*> objects = {{"#", &schema}};
  for (const auto& [name, rules] : schema["$defs"].items()) {
    if (rules.value("type", "") == "object") objects["#/$defs/" + name] = &rules;
  }
  for (const auto& [place, rules] : objects) {
    EXPECT_EQ((*rules)["additionalProperties"], false) << place;
    ASSERT_TRUE(check.seen.contains(place)) << place << " is never written";
    std::set<std::string> listed, required;
    for (const auto& [key, item] : (*rules)["properties"].items()) listed.insert(key);
    for (const Json& key : (*rules)["required"]) required.insert(key.get<std::string>());
    EXPECT_EQ(check.seen[place], listed) << place;
    EXPECT_EQ(check.always[place], required) << place;
  }
}

// A sample with two arithmetics more stays one line: 17 digits in each of its numbers.
TEST(ResultIo, ASampleWithFurtherArithmeticsIsALine) {
  ResultFile file = full_file();
  Sample& sample = file.points[1].parts[0].rounds[0].samples[0];
  for (Roofs* roofs : {&sample.roofs_before, &sample.roofs_after}) {
    roofs->read_bytes_per_s = 20123456789.012345;
    roofs->flops_per_s = 501234567890.12345;
    for (auto& [name, rate] : roofs->product_flops_per_s) rate = 301234567890.12345;
  }
  const std::string text = text_of(file);
  EXPECT_NE(text.find("\n        {\"time_s\":0.025500000000000002,\"section_s\":"), std::string::npos);
}

TEST(ResultIo, ReadsAnOlderMinorVersion) {
  const std::string text = result_to_text(fixture::result_file(), nullptr);
  const std::string now = "\"schema_version\": \"1.5.0\"";
  ASSERT_NE(text.find(now), std::string::npos);
  for (const std::string version : {"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"}) {
    std::string older = text;
    older.replace(older.find(now), now.size(), "\"schema_version\": \"" + version + "\"");
    EXPECT_EQ(result_from_text("r.json", older).schema_version, version);
    EXPECT_TRUE(result_from_text("r.json", older).peers.empty());
  }
}

// Merged before rounds said their layers: 6 in the second round, by its sections; the part shows the lower stack.
TEST(ResultIo, AnOlderMergedFilesRoundsFindTheirLayers) {
  ResultFile file = fixture::result_file();
  file.schema_version = "1.3.0";
  for (Sample& sample : file.points[0].parts[0].rounds[1].samples) sample.section_s *= 2;
  file.points[0].parts[0].rounds[1].layers = 6;
  Json json = Json::parse(text_of(file));
  json["points"][0]["parts"][0]["rounds"][1].erase("layers");
  EXPECT_NE(message_of([&] { result_from_text("r.json", json.dump()); }).find("rounds[1].samples[0].time_s"),
            std::string::npos);
  json["command"] = {"merge", "a.json", "b.json"};
  EXPECT_EQ(result_from_text("r.json", json.dump()).points[0].parts[0].rounds[1].layers, 6);
  json["points"][0]["parts"][0]["rounds"][1]["samples"][0]["section_s"] = 1.0;  // no whole number of layers
  EXPECT_NE(message_of([&] { result_from_text("r.json", json.dump()); }).find("samples[0].time_s"), std::string::npos);
  json["schema_version"] = "1.4.0";
  EXPECT_NE(message_of([&] { result_from_text("r.json", json.dump()); }).find("samples[0].time_s"), std::string::npos);
}

TEST(ResultIo, CompleteIsWorkedOutAgain) {
  ResultFile file = fixture::result_file();
  file.policy = PolicyRecord{3, 0.6, 3, 30, 5e-4, 1};
  const auto complete = [&] { return result_from_text("r.json", text_of(file)).complete; };
  EXPECT_TRUE(complete());
  file.policy->rounds = 4;
  EXPECT_FALSE(complete());
  file.policy->rounds = 3;
  PartRecord& head = file.points[0].parts[1];
  head = PartRecord{};
  head.kind = "head";
  head.count = 1;
  head.why = "not asked for";
  EXPECT_FALSE(complete());
  file.policy->head = false;
  EXPECT_TRUE(complete());
  head.outcome = Outcome::failed;
  EXPECT_FALSE(complete());
  head.outcome = Outcome::out_of_memory;
  EXPECT_TRUE(complete());
  file.complete = false;  // by hand, for whatever reason
  EXPECT_FALSE(complete());
}

TEST(ResultIo, AnOlderFilesPriceHasTheLabelsThatItsFieldsSay) {
  ResultFile file = fixture::result_file();
  EXPECT_TRUE(result_from_text("r.json", text_of(file)).price->labels.empty());
  file.price->stale = true;
  file.price->model = "command line";
  file.price->id = "0.72/h";
  EXPECT_EQ(result_from_text("r.json", text_of(file)).price->labels,
            (std::vector<PriceLabel>{PriceLabel::stale, PriceLabel::command_line}));
  file.price->labels = {PriceLabel::expired};
  EXPECT_EQ(result_from_text("r.json", text_of(file)).price->labels,
            (std::vector<PriceLabel>{PriceLabel::stale, PriceLabel::expired, PriceLabel::command_line}))
      << "what is listed stays, what follows is added";
  // Another device than the measured one, unless the vendor's figures say that it has two names.
  file.price->device = "NVIDIA H100 SXM 80 GB";
  EXPECT_EQ(result_from_text("r.json", text_of(file)).price->labels.back(), PriceLabel::other_device);
  file.price->device = file.environment.device_name;
  EXPECT_EQ(result_from_text("r.json", text_of(file)).price->labels.back(), PriceLabel::command_line);
  const std::string text = text_of(file);
  const std::size_t at = text.find("\"expired\"");
  ASSERT_NE(at, std::string::npos);
  const std::string unknown = text.substr(0, at) + "\"expierd\"" + text.substr(at + 9);
  EXPECT_NE(message_of([&] { result_from_text("r.json", unknown); }).find("did you mean 'expired'"), std::string::npos);
}

TEST(ResultSchema, VersionsAgree) {
  EXPECT_EQ(ResultFile{}.schema_version, kSchemaVersion);
  EXPECT_EQ(load_schema()["properties"]["schema_version"]["pattern"], "^1\\.[0-5]\\.[0-9]+$");
}

// With a schema library, where there is one (LAYERCOST_PYTHON, else python3). The spoiled copies must be refused by it.
TEST(ResultSchema, ALibraryAgrees) {
  std::string pattern = (fs::temp_directory_path() / "layercost-schema-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const fs::path folder = pattern;
  const std::pair<const char*, const char*> spoils[] = {
      {"/points/0/parts/0/rounds/0/samples/0/time_s", "-1"},
      {"/points/0/parts/0/rounds/0/samples/0/time_s", "\"1\""},
      {"/points/0/parts/0/outcome", "\"okay\""},
      {"/points/0/parts/0/outcome", "\"wrong\""},
      {"/points/0/parts/0/verdict/ok", "false"},
      {"/points/0/parts/0/rounds", "[]"},
      {"/points/0/extra", "1"},
      {"/schema_version", "\"2.0.0\""},
      {"/price/usd_per_h", "0.72"},
      {"/summary/models/0/usd_per_mtok", "null"},
      {"/points/1/parts/0/routing/seed", "7"},
      {"/peers/0/rounds/0/samples_s/0", "0"},
      {"/peers/0/rounds/0/samples_s", "[]"},
      {"/peers/0/implementation", "\"layercost\""},
      {"/peers/0/kind", "\"head\""},
      {"/peers/0/cold", "1"},
      {"/peers", "[]"},
  };
  const char* python = std::getenv("LAYERCOST_PYTHON");
  const std::string program = std::string("'") + (python ? python : "python3") + "' '" + LAYERCOST_SOURCE_DIR +
                              "/tests/unit/check_schema.py' '" + kSchemaPath.string() + "'";
  int n = 0;
  bool spoiled_once = false;
  for (const Json& file : example_files()) {
    std::string command = program;
    const auto add = [&](const Json& json) {
      const fs::path path = folder / (std::to_string(n++) + ".json");
      std::ofstream(path) << json;
      command += " '" + path.string() + "'";
    };
    add(file);
    if (file.contains("peers") && !spoiled_once) {
      spoiled_once = true;
      for (const auto& [place, value] : spoils) {
        Json spoiled = file;
        spoiled[Json::json_pointer(place)] = Json::parse(value);
        add(spoiled);
      }
    }
    const int status = std::system(command.c_str());
    if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127) {
      fs::remove_all(folder);
      GTEST_SKIP() << "no Python with the package jsonschema";
    }
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace layercost
