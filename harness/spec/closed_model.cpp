// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/closed_model.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "harness/spec/json_reader.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

ClosedModel read_closed_model(const fs::path& file) {
  const JsonNode node = read_json(file);
  node.refuse_other_keys(std::vector<std::string>{"title", "maker", "aliases"});
  ClosedModel m;
  m.name = ascii_lower(file.stem().string());
  m.title = node.get_string("title", 64);
  m.maker = node.get_string("maker", 64);
  for (const std::string& alias : node.at("aliases").as_string_list(64)) m.aliases.push_back(ascii_lower(alias));
  return m;
}

}  // namespace

std::vector<ClosedModel> list_closed_models(const fs::path& configs_dir) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(configs_dir / "closed", error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".json") files.push_back(it->path());
  std::sort(files.begin(), files.end());
  std::vector<ClosedModel> out;
  std::set<std::string> names;
  for (const fs::path& file : files) {
    out.push_back(read_closed_model(file));
    std::vector<std::string> own = out.back().aliases;
    own.push_back(out.back().name);
    for (const std::string& name : own)
      if (!names.insert(name).second) throw BadInput(file.string(), "aliases", "\"" + name + "\" is taken");
  }
  return out;
}

std::optional<ClosedModel> find_closed_model(const std::string& name, const fs::path& configs_dir) {
  const std::string wanted = ascii_lower(name);
  for (ClosedModel& m : list_closed_models(configs_dir))
    if (m.name == wanted || std::find(m.aliases.begin(), m.aliases.end(), wanted) != m.aliases.end())
      return std::move(m);
  return std::nullopt;
}

}  // namespace layercost
