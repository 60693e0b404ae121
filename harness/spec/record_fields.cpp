// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/record_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "kernels/core/error.h"

namespace layercost {

using std::chrono::sys_days;

Date get_date(const JsonNode& node, std::string_view key) {
  const std::string text = node.get_string(key, 32);
  const std::optional<Date> date = parse_date(text);
  if (!date) node.fail(key, fmt::format("expected a date YYYY-MM-DD, got \"{}\"", text));
  return *date;
}

Date get_past_date(const JsonNode& node, std::string_view key, Date on) {
  const Date date = get_date(node, key);
  if (sys_days(date) > sys_days(on)) {
    node.fail(key, fmt::format("{} is in the future (today is {})", date_text(date), date_text(on)));
  }
  return date;
}

std::string get_past_day_or_month(const JsonNode& node, std::string_view key, Date on) {
  std::string text = node.get_string(key, 10);
  const std::optional<Date> date = parse_date(text.size() == 7 ? text + "-01" : text);
  if (!date) node.fail(key, fmt::format("expected YYYY-MM-DD or YYYY-MM, got \"{}\"", text));
  if (sys_days(*date) > sys_days(on)) node.fail(key, text + " is in the future");
  return text;
}

std::string get_word(const JsonNode& node, std::string_view key, const std::vector<std::string>& known) {
  const std::string word = node.get_string(key, 64);
  if (std::find(known.begin(), known.end(), word) == known.end()) {
    std::string list;
    for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
    node.fail(key, fmt::format("expected one of {}, got \"{}\"{}", list, word, did_you_mean(word, known)));
  }
  return word;
}

std::string get_filled(const JsonNode& node, std::string_view key, std::size_t max_chars) {
  const std::string text = node.get_string(key, max_chars);
  if (text.find_first_not_of(' ') == std::string::npos) node.fail(key, "expected a text, got an empty one");
  return text;
}

std::vector<std::string> get_texts(const JsonNode& node, std::string_view key) {
  return node.at(key).as_string_list(200);
}

double get_amount(const JsonNode& node, std::string_view key, std::string& text) {
  const JsonNode value = node.at(key);
  if (!value.is_string())
    value.fail(fmt::format("expected a decimal in quotes such as \"2.50\", got {}", value.described()));
  text = value.as_string(32);
  const std::optional<double> amount = parse_decimal(text);
  if (!amount) value.fail(fmt::format("expected a decimal above zero such as \"2.50\", got \"{}\"", text));
  return *amount;
}

std::vector<std::filesystem::path> record_files(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) throw BadInput(folder.string(), "", fmt::format("cannot be listed: {}", error.message()));
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::directory_entry& entry : entries)
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::filesystem::path find_record(const char* option, const char* what, const char* or_else, const char* listed,
                                  const std::string& argument, const std::filesystem::path& folder) {
  std::error_code ignored;
  const bool is_plain = argument.find('/') == std::string::npos && !argument.empty() && argument.front() != '.';
  if (is_plain && std::filesystem::is_regular_file(folder / (argument + ".json"), ignored))
    return folder / (argument + ".json");
  if (std::filesystem::exists(argument, ignored)) return argument;
  std::vector<std::string> ids;
  for (const std::filesystem::path& file : record_files(folder)) ids.push_back(file.stem().string());
  throw BadInput(option, "",
                 fmt::format("no {} \"{}\"{}: neither {}a file, nor one of the {} of layercost list {}", what,
                             printable(argument), did_you_mean(argument, ids), or_else, ids.size(), listed));
}

}  // namespace layercost
