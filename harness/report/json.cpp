// SPDX-License-Identifier: Apache-2.0
#include "harness/report/json.h"

#include <nlohmann/json.hpp>

#include "harness/report/data.h"
#include "harness/report/text.h"

namespace layercost {
namespace {

constexpr std::size_t kMostChars = 5000;  // of a text, as in CSV

nlohmann::ordered_json object_of(const Data& data, const DataRow& row) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (std::size_t c = 0; c < data.columns.size(); ++c) {
    const DataValue* value = row.at(c);
    if (value == nullptr) continue;
    const std::string* text = std::get_if<std::string>(value);
    if (text != nullptr) object[data.columns[c].key] = plain(*text, kMostChars);
    else std::visit([&](const auto& v) { object[data.columns[c].key] = v; }, *value);
  }
  return object;
}

}  // namespace

std::string render_json(std::span<const ResultFile> files, const ReportOptions&) { return json_of(data_of(files)); }
std::string render_jsonl(std::span<const ResultFile> files, const ReportOptions&) { return jsonl_of(data_of(files)); }

std::string json_of(const Data& data) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const DataRow& row : data.rows) rows.push_back(object_of(data, row));
  return rows.dump(1) + "\n";
}

std::string jsonl_of(const Data& data) {
  std::string out;
  for (const DataRow& row : data.rows) out += object_of(data, row).dump() + "\n";
  return out;
}

}  // namespace layercost
