// Nothing unknown passes: every op and every variant is fed keys, values and types that it does not know. What the op
// does not know is no case at all (BadCase, wherever it enters); what only the variant does not know is refused with a
// reason. Neither is ever run.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const BadCase& e) {
    return e.what();
  }
  return {};
}

// A device that each variant's kind of device could be.
DeviceInfo device_of(Target target) {
  if (target == Target::cpu) return describe_cpu(1);
  DeviceInfo d;
  d.target = target;
  d.cuda.major = 9, d.cuda.multiprocessors = 132, d.cuda.shared_bytes_per_block = std::size_t{227} << 10;
  return d;
}

bool was_made = false;
std::unique_ptr<Invocation> make_nothing(const OpCase&, const OpTensors&, Runtime&) {
  was_made = true;
  return invocation([] {});
}
Variant that_must_not_run(const Variant& v) {
  Variant out = v;
  out.make = make_nothing;
  return out;
}

// Every way in refuses the case, and says so with `words`.
void expect_no_case(const OpDef& op, const OpCase& c, std::initializer_list<std::string> words) {
  SCOPED_TRACE(c.text());
  Runtime runtime(describe_cpu(1));
  std::vector<std::string> messages = {message_of([&] { op.tensors(c); }), message_of([&] { op.work(c, {}); }),
                                       message_of([&] { default_variant(op, c, runtime.device()); })};
  for (const Variant* v : op.variants()) {
    const Variant variant = that_must_not_run(*v);
    messages.push_back(message_of([&] { support(op, variant, c, device_of(v->target)); }));
    messages.push_back(message_of([&] { variant.prepare(c, {}, runtime); }));
  }
  for (const std::string& m : messages)
    for (const std::string& word : words) EXPECT_NE(m.find(word), std::string::npos) << "'" << word << "' in: " << m;
  EXPECT_FALSE(was_made);
}

// The case with this key taken out.
OpCase without(const OpCase& c, std::string_view key) {
  OpCase out(c.op());
  for (const auto& [k, v] : c.values())
    if (k != key) out.set(k, v);
  return out;
}

TEST(Unknown, KeysAreNoCaseOfAnyOp) {
  for (const OpDef* op : all_ops())
    for (const OpCase& c : {op->test_cases().front(), op->test_cases().back()}) {
      OpCase more = c;
      expect_no_case(*op, more.set("stars", 4), {op->name, "stars", "4"});
      // One letter more than a key that it has.
      for (const KnownKey& key : op->keys) {
        const std::string name(key.name), wrong = name + "s";
        const bool near = name.size() >= 2;  // one letter of two is no likely misspelling of "m"
        OpCase misspelt = without(c, name);
        expect_no_case(*op, misspelt.set(wrong, c.word(name, "1")),
                       {op->name, wrong, near ? "did you mean '" + name + "'" : "its keys:"});
      }
    }
}

TEST(Unknown, ValuesAreNoCaseOfAnyOp) {
  for (const OpDef* op : all_ops())
    for (const KnownKey& key : op->keys) {
      std::vector<std::string> bad;
      switch (key.kind) {
        case KnownKey::Kind::integer:
          bad = {"-1", "1.5", "1e3", "x", "99999999999999999999"};
          break;
        case KnownKey::Kind::flag:
          bad = {"2", "-1", "true", "1.0"};
          break;
        case KnownKey::Kind::real:
          bad = {"nan", "inf", "-inf", "x", "1e999"};
          break;
        case KnownKey::Kind::word:
          bad = {"sil", "SILU", "2"};
          break;
        case KnownKey::Kind::type:
          bad = {"f64", "i32", "bf17", "fp8", "float", "0"};
          break;
        case KnownKey::Kind::format:
          bad = {"f64", "i32", "bf17", "fp8", "fp8_block64", "float", "0"};
          break;
      }
      if (key.kind == KnownKey::Kind::integer && key.least >= 1) bad.push_back("0");
      for (const std::string& value : bad) {
        OpCase c = op->test_cases().front();
        if (!key.beside.empty()) c.set(key.beside, op->name == std::string_view("moe_route") ? "2" : "1");
        expect_no_case(*op, c.set(key.name, value), {op->name, std::string(key.name), value, "expects"});
      }
    }
  OpCase c = find_op("linear").test_cases().front();
  expect_no_case(find_op("linear"), c.set("w_type", "bf17"), {"did you mean 'bf16'", "f32 or bf16"});
}

TEST(Unknown, AMissingKeyIsNamed) {
  for (const OpDef* op : all_ops())
    for (const KnownKey& key : op->keys)
      if (key.required)
        expect_no_case(*op, without(op->test_cases().front(), key.name), {std::string(key.name) + " is missing"});
}

TEST(Unknown, AKeyThatSaysNothingAloneIsRefusedAlone) {
  const OpDef &rope = find_op("rope"), &route = find_op("moe_route");
  OpCase c = rope.test_cases().front();
  ASSERT_FALSE(c.has("qk_norm"));
  expect_no_case(rope, c.set("eps", 1e-6), {"eps", "without qk_norm"});
  c.set("qk_norm", 0);
  expect_no_case(rope, c, {"eps", "without qk_norm"});
  c.set("qk_norm", 1);
  EXPECT_NO_THROW(rope.tensors(c));
  expect_no_case(rope, without(c, "eps"), {"eps is missing"});
  c = OpCase::parse("moe_route tokens=2 experts=4 top_k=1 renormalise=1 top_groups=1 x_type=f32");
  expect_no_case(route, c, {"top_groups", "without groups"});
  c.set("groups", 2);
  EXPECT_NO_THROW(route.tensors(c));
  expect_no_case(route, without(c, "top_groups"), {"top_groups is missing"});
}

TEST(Unknown, ACaseOfAnotherOp) {
  const OpDef& glu = find_op("glu");
  const OpCase c = find_op("rms_norm").test_cases().front();
  for (const auto& f :
       std::initializer_list<std::function<void()>>{[&] { glu.tensors(c); }, [&] { glu.work(c, {}); },
                                                    [&] { support(glu, *glu.variants().front(), c, describe_cpu(1)); }})
    EXPECT_NE(message_of(f).find("no case of glu"), std::string::npos) << message_of(f);
}

// A variant refuses what its op has learnt and it has not: here a type that no kernel knows, under every type key.
TEST(Unknown, ATypeThatOnlyTheOpKnowsIsRefusedByEveryVariant) {
  static constexpr DType kMore[] = {DType::f32, DType::bf16, DType::f64};
  for (const OpDef* op : all_ops())
    for (std::size_t i = 0; i < op->keys.size(); ++i) {
      if (op->keys[i].kind != KnownKey::Kind::type) continue;
      std::vector<KnownKey> keys(op->keys.begin(), op->keys.end());
      keys[i].types = kMore;
      OpDef wider = *op;
      wider.keys = keys;
      OpCase c = op->test_cases().front();
      c.set(keys[i].name, "f64");
      EXPECT_NO_THROW(check_keys(wider, c));
      for (const Variant* v : op->variants()) {
        const Support s = support(wider, *v, c, device_of(v->target));
        EXPECT_FALSE(s) << op->name << " " << v->name << " takes " << c.text();
        EXPECT_FALSE(s.why.empty());
      }
    }
}

// The same for options and words: without the entry of `knows` that names it, every variant refuses what it did before.
TEST(Unknown, WhatAVariantDoesNotNameItDoesNotDo) {
  Runtime runtime(describe_cpu(1));
  int refused = 0;
  for (const OpDef* op : all_ops())
    for (const Variant* v : op->variants())
      for (const OpCase& c : op->test_cases()) {
        if (!what_is_unknown(*op, *v, c).empty()) continue;
        for (const auto& [name, value] : c.values()) {
          std::string shorter;
          bool named = false;
          for (std::size_t at = 0; at < std::string_view(v->knows).size();) {
            const std::string all = v->knows;
            const std::size_t end = std::min(all.find(' ', at), all.size());
            const std::string entry = all.substr(at, end - at);
            at = end + 1;
            if (entry.substr(0, entry.find('=')) == name) named = true;
            else shorter += (shorter.empty() ? "" : " ") + entry;
          }
          if (!named) continue;
          Variant less = that_must_not_run(*v);
          less.knows = shorter.c_str();
          const bool says_something = !what_is_unknown(*op, less, c).empty();
          const KnownKey* key = nullptr;
          for (const KnownKey& k : op->keys)
            if (k.name == name) key = &k;
          EXPECT_EQ(says_something, key->required || value != key->otherwise)
              << c.text() << " " << v->name << " " << name;
          if (!says_something) continue;
          const Support s = support(*op, less, c, device_of(v->target));
          EXPECT_FALSE(s) << c.text() << " " << v->name;
          EXPECT_NE(s.why.find(name), std::string::npos) << s.why;
          if (v->target == Target::cpu) {
            EXPECT_NE(message_of([&] { less.prepare(c, {}, runtime); }).find(name), std::string::npos);
          }
          ++refused;
        }
      }
  EXPECT_FALSE(was_made);
  EXPECT_GT(refused, 1000);
}

TEST(Unknown, OptionsOfAnotherVariantAreRefusedWithTheKeysName) {
  const OpDef& route = find_op("moe_route");
  Variant rows = find_variant(route, "highway_rows");
  rows.knows = "renormalise forced score=softmax x_type=f32|bf16";  // as one that makes the plainest choice alone
  const auto why = [&](const char* more) {
    return support(route, rows,
                   OpCase::parse("moe_route tokens=1 experts=8 top_k=2 renormalise=1 x_type=f32" + std::string(more)),
                   describe_cpu(1))
        .why;
  };
  EXPECT_EQ(why(""), "");
  EXPECT_EQ(why(" score=softmax bias=0 groups=1 scaling=1.0"), "");  // what an absent key means
  EXPECT_EQ(why(" bias=1"), "does not know bias");
  EXPECT_EQ(why(" scaling=2.5"), "does not know scaling");
  EXPECT_EQ(why(" groups=4 top_groups=2"), "does not know groups");
  EXPECT_EQ(why(" score=sigmoid"), "takes score=softmax, not sigmoid");
  const OpDef& linear = find_op("linear");
  EXPECT_EQ(support(linear, find_variant(linear, "cuda_tiles"),
                    OpCase::parse("linear m=1 n=8 k=8 x_type=bf16 w_type=f32 y_type=f32"), device_of(Target::cuda))
                .why,
            "takes w_type=bf16, not f32");
}

TEST(Unknown, EveryVariantSaysWhatItKnowsInTheOpsOwnWords) {
  for (const OpDef* op : all_ops())
    for (const Variant* v : op->variants())
      EXPECT_EQ(what_is_wrong_with_knows(*op, *v), "") << op->name << " " << v->name;
  const OpDef& linear = find_op("linear");
  Variant v = *linear.variants().front();
  const auto wrong = [&](const char* knows) {
    v.knows = knows;
    return what_is_wrong_with_knows(linear, v);
  };
  EXPECT_NE(wrong("x_type=bf16 w_type=bf16 y_type=bf16 biass").find("no key 'biass'"), std::string::npos);
  EXPECT_NE(wrong("x_type w_type=bf16 y_type=bf16").find("x_type: which values?"), std::string::npos);
  EXPECT_NE(wrong("x_type=bf16 w_type=bf16").find("y_type: which types?"), std::string::npos);
  EXPECT_NE(wrong("x_type=f64 w_type=bf16 y_type=bf16").find("x_type=f64 is no value"), std::string::npos);
}

// What the tables call a default is what the op computes without the key.
TEST(Unknown, AnAbsentKeyMeansItsDefault) {
  int keys = 0;
  for (const OpDef* op : all_ops())
    for (const KnownKey& key : op->keys) {
      if (key.otherwise.empty()) continue;
      for (const OpCase& c : op->test_cases()) {
        if (c.has(key.name)) continue;
        OpCase said = c;
        said.set(key.name, key.otherwise);
        SCOPED_TRACE(said.text());
        const auto a = op->tensors(c), b = op->tensors(said);
        ASSERT_EQ(a.size(), b.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
          EXPECT_EQ(a[i].name, b[i].name);
          EXPECT_EQ(a[i].shape, b[i].shape);
        }
        EXPECT_EQ(op->work(c, {}).flops, op->work(said, {}).flops);
        EXPECT_EQ(op->work(c, {}).kv_read_bytes, op->work(said, {}).kv_read_bytes);
        ++keys;
      }
    }
  EXPECT_GT(keys, 50);
}

}  // namespace
}  // namespace layercost
