// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/figures.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "harness/cli/commands.h"
#include "harness/cli/streams.h"
#include "harness/report/figures/figure.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

// Of a file that may be left out: nothing.
std::optional<std::string> text_of_file(const fs::path& path) {
  std::error_code ignored;
  const auto size = fs::file_size(path, ignored);
  if (ignored || !fs::is_regular_file(path, ignored)) return {};
  if (size > kViewerMaxBytes)
    throw BadInput(path.string(), "", fmt::format("{} bytes, a viewer has at most {}", size, kViewerMaxBytes));
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  return in.bad() || text.empty() ? std::nullopt : std::optional(std::move(text));
}

// Of the checkout, and of an installed program.
std::vector<fs::path> install_folders() {
  std::vector<fs::path> folders = {configs_dir().parent_path() / ".venv-figures"};
  const char* data = std::getenv("XDG_DATA_HOME");
  const char* home = std::getenv("HOME");
  if (data != nullptr && *data == '/') folders.emplace_back(fs::path(data) / "layercost/figures");
  else if (home != nullptr && *home == '/') folders.emplace_back(fs::path(home) / ".local/share/layercost/figures");
  return folders;
}

std::optional<fs::path> renderer() {
  std::error_code ignored;
  for (const char* place : {"scripts/figures", "figures"})
    if (const fs::path script = configs_dir().parent_path() / place; fs::is_regular_file(script, ignored))
      return script;
  return {};
}

std::string install_command() {
  const auto script = renderer();
  return (script ? script->string() : "scripts/figures") + " --install";
}

nlohmann::json all_figures(std::span<const ResultFile> files) {
  nlohmann::json all = nlohmann::json::array();
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Summary summary = summarise(files[i]);
    for (const FigureKind& kind : figure_kinds()) {
      const Figure figure = kind.build({files[i], summary});
      if (figure.panels.empty()) tell("{}: {}\n", kind.title, figure.absent);
      for (std::size_t p = 0; p < figure.panels.size(); ++p) {
        nlohmann::json spec = complete_spec(figure, figure.panels[p]);
        spec["usermeta"] = {{"caption", figure.caption}};
        all.push_back({{"name", fmt::format("{}{}{}", files.size() > 1 ? fmt::format("{}-", i + 1) : "", kind.name,
                                            figure.panels.size() > 1 ? fmt::format("-{}", p + 1) : "")},
                       {"spec", std::move(spec)}});
      }
    }
  }
  return all;
}

// As scripts/figures names its files.
void refuse_to_replace(const nlohmann::json& figures, const fs::path& folder) {
  std::error_code ignored;
  for (const nlohmann::json& figure : figures)
    for (const char* end : {".svg", ".pdf", ".png", ".vl.json"})
      if (const fs::path file = folder / (figure.at("name").get<std::string>() + end);
          fs::exists(fs::symlink_status(file, ignored)))
        throw BadInput(file.string(), "", "exists already; --force replaces it");
}

void write_all(int to, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(to, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the renderer went away, and says why itself
    done += static_cast<std::size_t>(n);
  }
}

}  // namespace

std::string viewer_script(const std::string& given) {
  const char* set = std::getenv("LAYERCOST_VIEWER");
  const std::string named = !given.empty() ? given : set != nullptr ? set : "";
  if (!named.empty()) {
    auto text = text_of_file(named);
    if (!text)
      throw BadInput(given.empty() ? "LAYERCOST_VIEWER" : "--viewer", "",
                     fmt::format("'{}' is no file with a viewer; {} makes one", printable(named), install_command()));
    return std::move(*text);
  }
  for (const fs::path& folder : install_folders())
    if (auto text = text_of_file(folder / "viewer.js")) return std::move(*text);
  tell("the page shows its figures as tables; for pictures, once: {}\n", install_command());
  return {};
}

int write_figures(std::span<const ResultFile> files, const fs::path& folder, bool force) {
  const auto script = renderer();
  if (!script) throw BadInput("--figures: scripts/figures, which draws them, is not beside this program's configs");
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !fs::is_directory(folder, ignored))
    throw BadInput(folder.string(), "", "--figures needs a folder, and this is none");
  const nlohmann::json all = all_figures(files);
  if (!force) refuse_to_replace(all, folder);
  const std::string figures = all.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe to the renderer of figures");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  std::string program = script->string(), option = "--render", target = folder.string();
  char* arguments[] = {program.data(), option.data(), target.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[0]);
  if (error == 0) write_all(ends[1], figures);
  ::close(ends[1]);
  if (error != 0) throw BadInput(program, "", fmt::format("cannot be started: {}", std::strerror(error)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace layercost
