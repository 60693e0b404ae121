// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/json_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <utility>

#include "kernels/core/error.h"

namespace layercost {
namespace {

using Json = nlohmann::json;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// What people hand over instead of JSON, by its first bytes.
void refuse_foreign_formats(const std::string& file, std::string_view bytes) {
  const auto refuse = [&](std::string_view what) { throw BadInput(file, "", fmt::format("{}; expected JSON", what)); };
  struct Row {
    std::string_view magic, what;
  };
  static constexpr Row kRows[] = {
      {"GGUF", "is a GGUF file (weights of llama.cpp)"},
      {"version https://git-lfs", "is a git-lfs pointer: the file itself was not downloaded (git lfs pull)"},
      {"PK\x03\x04", "is a zip archive (a PyTorch checkpoint?)"},
      {"\x1f\x8b", "is compressed by gzip"},
      {"<!DOCTYPE", "is a web page, such as an error or log-in page that was saved"},
      {"<html", "is a web page, such as an error or log-in page that was saved"},
      {"\x89HDF", "is an HDF5 file"},
  };
  for (const Row& row : kRows)
    if (bytes.starts_with(row.magic)) refuse(row.what);
  // safetensors: the header's length in 8 bytes, then the header.
  if (bytes.size() > 9 && bytes[7] == 0 && bytes[8] == '{') refuse("is a safetensors file (weights)");
}

// Python's json writes these, and no other reader takes them.
std::string_view python_literal(std::string_view text, std::size_t at) {
  for (const std::string_view word : {"Infinity", "NaN"})
    for (std::size_t begin = at < 2 ? 0 : at - 2; begin <= at && begin < text.size(); ++begin)
      if (text.substr(begin).starts_with(word)) return word;
  return "";
}

std::string line_and_column(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format("line {}, column {}", line, before.size() - line_start + 1);
}

void refuse_foreign_encodings(const std::string& file, std::string_view text) {
  const auto starts = [&](std::string_view mark) { return text.substr(0, mark.size()) == mark; };
  if (starts("\xEF\xBB\xBF")) throw BadInput(file, "", "begins with a byte order mark (BOM); expected plain UTF-8");
  if (starts("\xFF\xFE") || starts("\xFE\xFF")) {
    throw BadInput(file, "", "begins with a UTF-16 byte order mark (BOM); expected plain UTF-8");
  }
}

// Builds the tree and refuses on the way, so that nothing deep or large ever exists. The text parser of nlohmann/json
// is iterative, so the depth of the text costs no stack; it refuses ill-formed UTF-8 itself.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(const std::string& file, std::string_view text, const JsonLimits& limits)
      : file_(file), text_(text), limits_(limits) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(Json(nullptr)); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(std::int64_t value) override { return add(Json(value)); }
  bool number_unsigned(std::uint64_t value) override { return add(Json(value)); }
  bool number_float(double value, const std::string& digits) override {
    // Integers of more than 64 bits arrive here too; they stay numbers, and as_int refuses them.
    if (!std::isfinite(value)) fail(fmt::format("the number {} does not fit a double", printable(digits, 40)));
    return add(Json(value));
  }
  bool string(std::string& value) override { return add(Json(std::move(value))); }
  bool binary(Json::binary_t&) override { return false; }  // never called for text

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    key_ = std::move(name);
    if (open_.back()->contains(key_)) fail(fmt::format("the key \"{}\" appears twice", printable(key_, 60)));
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ...": the part after the place.
    std::string_view reason = error.what();
    if (const std::size_t end = reason.find("] "); reason.starts_with("[json.") && end != std::string_view::npos) {
      reason.remove_prefix(end + 2);
    }
    if (const std::size_t colon = reason.find(": ");
        reason.starts_with("parse error") && colon != std::string_view::npos) {
      reason.remove_prefix(colon + 2);
    }
    if (const std::string_view word = python_literal(text_, position == 0 ? 0 : position - 1); !word.empty())
      reason = word == "NaN" ? "NaN is no JSON (Python's json module writes it); expected a number or null"
                             : "Infinity is no JSON (Python's json module writes it); expected a number or null";
    // A number beyond the largest double is reported without a place of its own.
    throw BadInput(file_, line_and_column(text_, position == 0 ? 0 : position - 1),
                   fmt::format("not valid JSON: {}", reason));
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw BadInput(file_, place(), message); }

  std::string place() const {
    std::string text;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      if (open_[i]->is_array()) {
        text += fmt::format("[{}]", open_[i]->empty() ? 0 : open_[i]->size() - (i + 1 < open_.size() ? 1 : 0));
      } else {
        const std::string& name = i + 1 < open_.size() ? names_[i] : key_;
        if (!text.empty()) text += '.';
        text += printable(name, 60);
      }
      if (text.size() > 200) return text + "...";
    }
    return text;
  }

  Json* place_value(Json&& value) {
    if (++values_ > limits_.max_values) {
      throw BadInput(file_, "", fmt::format("holds more than {} values", limits_.max_values));
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  bool add(Json&& value) {
    place_value(std::move(value));
    return true;
  }

  bool open(Json&& container) {
    if (open_.size() >= limits_.max_depth) {
      throw BadInput(file_, "", fmt::format("nested deeper than {} levels", limits_.max_depth));
    }
    Json* placed = place_value(std::move(container));
    if (!open_.empty()) names_.push_back(key_);
    open_.push_back(placed);  // stays valid: only the innermost open container grows
    return true;
  }

  bool close() {
    open_.pop_back();
    if (!names_.empty()) names_.pop_back();
    return true;
  }

  const std::string& file_;
  std::string_view text_;
  JsonLimits limits_;
  Json root_;
  std::vector<Json*> open_;
  std::vector<std::string> names_;  // names_[i]: the key in open_[i] under which open_[i + 1] hangs
  std::string key_;
  std::size_t values_ = 0;
};

std::string describe(const Json& value) {
  switch (value.type()) {
    case Json::value_t::string:
      return fmt::format("\"{}\"", printable(value.get_ref<const std::string&>(), 40));
    case Json::value_t::array:
      return value.empty() ? "an empty list" : fmt::format("a list of {}", value.size());
    case Json::value_t::object:
      return "an object";
    default:
      return value.dump();
  }
}

}  // namespace

std::string read_file_bytes(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const std::string name = path.string();
  // O_NONBLOCK: opening a pipe without a writer must fail below, not hang here.
  const FileDescriptor fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) {
    throw BadInput(name, "",
                   errno == ENOENT ? "no such file" : fmt::format("cannot be opened: {}", std::strerror(errno)));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) throw BadInput(name, "", fmt::format("cannot be read: {}", std::strerror(errno)));
  if (S_ISDIR(info.st_mode)) throw BadInput(name, "", "is a folder; expected a file");
  if (!S_ISREG(info.st_mode)) throw BadInput(name, "", "is a device, pipe or socket; expected a regular file");
  const auto too_large = [&] { return BadInput(name, "", fmt::format("is larger than {} bytes", max_bytes)); };
  if (static_cast<std::uint64_t>(info.st_size) > max_bytes) {
    // Weights are larger than any JSON: what they are says more than that they are large.
    char head[64];
    const ssize_t got = ::read(fd.get(), head, sizeof head);
    refuse_foreign_formats(name, {head, static_cast<std::size_t>(std::max<ssize_t>(got, 0))});
    throw too_large();
  }

  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(info.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw BadInput(name, "", fmt::format("cannot be read: {}", std::strerror(errno)));
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(got) > max_bytes) throw too_large();
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
}

struct JsonNode::Document {
  Json json;
  bool remembers = false;
  mutable std::set<std::pair<const Json*, std::string>> asked;  // object and key
};

JsonNode parse_json(std::string file, std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    throw BadInput(file, "", fmt::format("is larger than {} bytes", limits.max_bytes));
  refuse_foreign_encodings(file, text);
  refuse_foreign_formats(file, text);
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw BadInput(file, "", "is empty; expected a JSON object");
  }
  // nlohmann/json takes a zero byte for the end of the text and would let anything stand behind it.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    throw BadInput(file, line_and_column(text, zero), "not valid JSON: a zero byte");
  }
  Builder builder(file, text, limits);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) throw BadInput(file, "", "not valid JSON");
  auto document = std::make_shared<JsonNode::Document>();
  document->json = builder.take();
  document->remembers = limits.remembers_keys;
  const Json* root = &document->json;
  return JsonNode(std::make_shared<const std::string>(std::move(file)), std::move(document), root, "");
}

JsonNode read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(path.string(), read_file_bytes(path, limits.max_bytes), limits);
}

JsonNode::JsonNode(std::shared_ptr<const std::string> file, std::shared_ptr<const Document> document, const Json* value,
                   std::string place)
    : file_(std::move(file)), document_(std::move(document)), value_(value), place_(std::move(place)) {}

JsonNode JsonNode::child(const Json& value, std::string place) const {
  return JsonNode(file_, document_, &value, std::move(place));
}

std::string JsonNode::place_of(std::string_view key) const {
  return place_.empty() ? printable(key, 60) : place_ + "." + printable(key, 60);
}

bool JsonNode::is_null() const { return value_->is_null(); }
bool JsonNode::is_bool() const { return value_->is_boolean(); }
bool JsonNode::is_number() const { return value_->is_number(); }
bool JsonNode::is_string() const { return value_->is_string(); }
bool JsonNode::is_list() const { return value_->is_array(); }
bool JsonNode::is_object() const { return value_->is_object(); }

void JsonNode::fail(std::string_view message) const { throw BadInput(*file_, place_, message); }
void JsonNode::fail(std::string_view key, std::string_view message) const {
  throw BadInput(*file_, place_of(key), message);
}

std::string JsonNode::described() const { return describe(*value_); }

std::int64_t JsonNode::as_int(std::int64_t low, std::int64_t high) const {
  const bool fits = value_->is_number_integer() &&
                    !(value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::uint64_t{INT64_MAX});
  if (fits) {
    const auto number = value_->get<std::int64_t>();
    if (low <= number && number <= high) return number;
  }
  fail(fmt::format("expected an integer in {}..{}, got {}", low, high, described()));
}

double JsonNode::as_number(double low, double high) const {
  if (value_->is_number()) {
    const auto number = value_->get<double>();
    if (low <= number && number <= high) return number;
  }
  fail(fmt::format("expected a number in {:g}..{:g}, got {}", low, high, described()));
}

bool JsonNode::as_bool() const {
  if (!value_->is_boolean()) fail(fmt::format("expected true or false, got {}", described()));
  return value_->get<bool>();
}

std::string JsonNode::as_string(std::size_t max_chars) const {
  if (!value_->is_string()) fail(fmt::format("expected a text, got {}", described()));
  const std::string& text = value_->get_ref<const std::string&>();
  const auto is_ascii = [](char c) { return c >= ' ' && c <= '~'; };
  if (text.size() <= max_chars && std::all_of(text.begin(), text.end(), is_ascii)) return text;
  // In well-formed UTF-8 every byte that is no continuation begins a character.
  const auto chars = std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
  if (static_cast<std::size_t>(chars) > max_chars) {
    fail(fmt::format("expected a text of at most {} characters, got {}", max_chars, chars));
  }
  // printable() replaces exactly the characters that are refused.
  if (printable(text, text.size()) != text)
    fail(fmt::format("expected a text without control characters, got {}", described()));
  return text;
}

std::vector<JsonNode> JsonNode::as_list(std::size_t min_size, std::size_t max_size) const {
  if (!value_->is_array()) fail(fmt::format("expected a list, got {}", described()));
  if (value_->size() < min_size || value_->size() > max_size) {
    fail(min_size == max_size   ? fmt::format("expected a list of {}, got {}", min_size, described())
         : max_size == SIZE_MAX ? fmt::format("expected a list of at least {}, got {}", min_size, described())
                                : fmt::format("expected a list of {} to {}, got {}", min_size, max_size, described()));
  }
  std::vector<JsonNode> items;
  items.reserve(value_->size());
  for (const Json& item : *value_) items.push_back(child(item, fmt::format("{}[{}]", place_, items.size())));
  return items;
}

std::vector<std::int64_t> JsonNode::as_int_list(std::int64_t low, std::int64_t high) const {
  std::vector<std::int64_t> numbers;
  for (const JsonNode& item : as_list()) numbers.push_back(item.as_int(low, high));
  return numbers;
}

std::vector<std::string> JsonNode::as_string_list(std::size_t max_chars) const {
  std::vector<std::string> texts;
  for (const JsonNode& item : as_list()) texts.push_back(item.as_string(max_chars));
  return texts;
}

void JsonNode::expect_object() const {
  if (!value_->is_object()) fail(fmt::format("expected an object, got {}", described()));
}

std::size_t JsonNode::size() const {
  expect_object();
  return value_->size();
}

std::vector<std::string> JsonNode::keys() const {
  expect_object();
  std::vector<std::string> names;
  names.reserve(value_->size());
  for (const auto& item : value_->items()) names.push_back(item.key());
  return names;
}

bool JsonNode::has(std::string_view key) const {
  expect_object();
  return value_->find(std::string(key)) != value_->end();
}

void JsonNode::remember(std::string_view key) const {
  if (document_->remembers) document_->asked.emplace(value_, key);
}

bool JsonNode::was_asked_for(std::string_view key) const {
  if (!document_->remembers) throw std::logic_error("this document does not remember what was asked for");
  return document_->asked.contains({value_, std::string(key)});
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  expect_object();
  remember(key);
  const auto found = value_->find(std::string(key));
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return child(*found, place_of(key));
}

JsonNode JsonNode::at(std::string_view key) const {
  expect_object();
  remember(key);
  const auto found = value_->find(std::string(key));
  if (found == value_->end()) {
    std::vector<std::string> names = keys();
    // A key that is spelled alike and means something else ("num_attention_heads" for "num_key_value_heads") does not
    // pass the distance limit; a typing error does.
    const std::string nearest = nearest_spelling(key, names);
    fail(key, nearest.empty()
                  ? std::string("the key is missing")
                  : fmt::format("the key is missing; the nearest key there is '{}'", printable(nearest, 60)));
  }
  return child(*found, place_of(key));
}

std::int64_t JsonNode::get_int(std::string_view key, std::int64_t low, std::int64_t high) const {
  return at(key).as_int(low, high);
}
double JsonNode::get_number(std::string_view key, double low, double high) const {
  return at(key).as_number(low, high);
}
bool JsonNode::get_bool(std::string_view key) const { return at(key).as_bool(); }
std::string JsonNode::get_string(std::string_view key, std::size_t max_chars) const {
  return at(key).as_string(max_chars);
}

std::optional<std::int64_t> JsonNode::find_int(std::string_view key, std::int64_t low, std::int64_t high) const {
  const auto node = find(key);
  return node ? std::optional(node->as_int(low, high)) : std::nullopt;
}
std::optional<double> JsonNode::find_number(std::string_view key, double low, double high) const {
  const auto node = find(key);
  return node ? std::optional(node->as_number(low, high)) : std::nullopt;
}
std::optional<bool> JsonNode::find_bool(std::string_view key) const {
  const auto node = find(key);
  return node ? std::optional(node->as_bool()) : std::nullopt;
}
std::optional<std::string> JsonNode::find_string(std::string_view key, std::size_t max_chars) const {
  const auto node = find(key);
  return node ? std::optional(node->as_string(max_chars)) : std::nullopt;
}

void JsonNode::refuse_other_keys(std::span<const std::string> known) const {
  for (const std::string& key : keys()) {
    if (key.starts_with('_') || std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string list;
    for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
    fail(key, fmt::format("unknown key{}; known are: {}", did_you_mean(key, known), list));
  }
}

}  // namespace layercost
