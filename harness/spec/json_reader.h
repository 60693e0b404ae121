// What:    the one JSON reader. Everything read from outside (config.json, prices, suites, safetensors headers, result
//          files) comes through here, with the same limits and the same kind of message.
//          Refused before a tree exists: files over the cap, folders, devices and pipes, byte order marks, ill-formed
//          UTF-8, nesting beyond the cap, duplicate keys, more values than the cap, numbers that are no finite double
//          (NaN, Infinity, 1e999), anything after the value. Text JSON only.
//          A JsonNode is a value: it keeps its document alive and knows its file and its place ("rope_scaling.factor",
//          "layers[3]"), so that every error is one line: FILE: PLACE: expected ..., got ...
// Units:   bytes, characters.
// Errors:  BadInput for everything.
// Source:  RFC 8259. Duplicate keys are legal there, but readers disagree about which one counts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace layercost {

struct JsonLimits {
  std::uint64_t max_bytes = std::uint64_t{1} << 20;  // of the file
  std::size_t max_depth = 64;                        // open lists and objects
  std::size_t max_values = 1'000'000;                // values of all kinds; a key counts with its value
  bool remembers_keys = false;                       // for was_asked_for()
};

// The bytes of a regular file. Never blocks on a pipe; a file that grows while it is read still obeys the cap.
std::string read_file_bytes(const std::filesystem::path& path, std::uint64_t max_bytes);

class JsonNode {
 public:
  const std::string& file() const { return *file_; }
  const std::string& place() const { return place_; }  // "" is the whole file
  const nlohmann::json& raw() const { return *value_; }

  // The kind of value; each value is exactly one of the six.
  bool is_null() const;
  bool is_bool() const;
  bool is_number() const;
  bool is_string() const;
  bool is_list() const;
  bool is_object() const;

  // Of this value. Bounds are inclusive. A number such as 2048.0 is no integer here: a file that says so was not
  // written by the program it claims to come from.
  std::int64_t as_int(std::int64_t low, std::int64_t high) const;
  double as_number(double low, double high) const;
  bool as_bool() const;
  std::string as_string(std::size_t max_chars = 256) const;  // without control characters
  std::vector<JsonNode> as_list(std::size_t min_size = 0, std::size_t max_size = SIZE_MAX) const;
  std::vector<std::int64_t> as_int_list(std::int64_t low, std::int64_t high) const;
  std::vector<std::string> as_string_list(std::size_t max_chars = 256) const;

  // Of an object (anything else is a BadInput). keys() is sorted.
  std::size_t size() const;
  std::vector<std::string> keys() const;
  bool has(std::string_view key) const;                     // present, null included
  std::optional<JsonNode> find(std::string_view key) const;  // absent and null are the same: nullopt
  JsonNode at(std::string_view key) const;                  // required; names the nearest key that is there
  std::int64_t get_int(std::string_view key, std::int64_t low, std::int64_t high) const;
  double get_number(std::string_view key, double low, double high) const;
  bool get_bool(std::string_view key) const;
  std::string get_string(std::string_view key, std::size_t max_chars = 256) const;
  std::optional<std::int64_t> find_int(std::string_view key, std::int64_t low, std::int64_t high) const;
  std::optional<double> find_number(std::string_view key, double low, double high) const;
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string> find_string(std::string_view key, std::size_t max_chars = 256) const;
  // Whether find() or at() was called with this key on this object before. Only of a document that remembers.
  bool was_asked_for(std::string_view key) const;
  // For formats of our own, where an unknown key is a misspelling. Keys that begin with '_' are comments.
  void refuse_other_keys(std::span<const std::string> known) const;

  // Errors at this value, and at a key of this object.
  [[noreturn]] void fail(std::string_view message) const;
  [[noreturn]] void fail(std::string_view key, std::string_view message) const;
  // What this value is, for "got ...": "abc", 3.5, null, a list of 4, an object.
  std::string described() const;

 private:
  friend JsonNode parse_json(std::string, std::string_view, const JsonLimits&);
  struct Document;
  JsonNode(std::shared_ptr<const std::string> file, std::shared_ptr<const Document> document,
           const nlohmann::json* value, std::string place);
  JsonNode child(const nlohmann::json& value, std::string place) const;
  std::string place_of(std::string_view key) const;
  void expect_object() const;
  void remember(std::string_view key) const;

  std::shared_ptr<const std::string> file_;
  std::shared_ptr<const Document> document_;
  const nlohmann::json* value_;
  std::string place_;
};

// `file` is only used in messages.
JsonNode parse_json(std::string file, std::string_view text, const JsonLimits& limits = {});
JsonNode read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace layercost
