// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "harness/cli/commands.h"
#include "harness/cli/help_text.h"
#include "harness/cli/streams.h"
#include "harness/cli/terminal.h"
#include "harness/result/privacy.h"
#include "kernels/runtime/caches.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
std::filesystem::path configs_dir() {
  if (const char* dir = std::getenv("LAYERCOST_CONFIGS")) return dir;
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  for (const char* place : {"configs", "../share/layercost/configs"})
    if (const auto beside = (program.parent_path() / place).lexically_normal();
        std::filesystem::is_directory(beside, ignored))
      return beside;
  return LAYERCOST_CONFIGS_DIR;
}

std::vector<std::string>& command_words() {
  static std::vector<std::string> words;
  return words;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::vector<std::int64_t> parse_list(const std::string& option, const std::string& text, std::int64_t high) {
  std::vector<std::int64_t> out;
  for (const std::string& word : split_list(text)) {
    std::int64_t v = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), v);
    if (error != std::errc() || stop != word.data() + word.size() || v < 1 || v > high)
      throw BadInput(
          fmt::format("{}: expected integers in 1..{} separated by commas, got '{}'", option, high, printable(text)));
    if (std::find(out.begin(), out.end(), v) == out.end()) out.push_back(v);  // a point is measured once
  }
  return out;
}

std::string cache_words(const DeviceInfo& d) {
  const std::int64_t count = last_level_caches() ? last_level_caches()->count : 1;
  return fmt::format("{:.0f} MB {}", static_cast<double>(d.last_level_cache_bytes) / 1e6,
                     count > 1 ? fmt::format("in {} last-level caches", count) : "last-level cache");
}

int welcome() {
  const DeviceInfo d = describe_cpu();
  std::string isa = d.cpu.amx_bf16      ? "AMX bf16"
                    : d.cpu.avx512_bf16 ? "AVX-512 bf16"
                    : d.cpu.avx512      ? "AVX-512"
                    : d.cpu.avx2        ? "AVX2"
                                        : "baseline";
  std::string out = wrapped_lines(fmt::format(
      "layercost {}: real transformer layers on this machine, and what a token costs here\n\n", LAYERCOST_VERSION));
  out +=
      hanging_line("  this machine   ", fmt::format("{}, {} threads, {} ({})", d.name, d.threads, isa, cache_words(d)));
  out += hanging_line("  memory         ",
                      fmt::format("{:.1f} GB, {:.1f} GB free", static_cast<double>(d.memory_bytes) / 1e9,
                                  static_cast<double>(d.available_bytes) / 1e9));
  for (const DeviceListing& l : list_devices())
    if (l.info.target == Target::cuda)
      out += hanging_line(
          fmt::format("  {:<14} ", l.info.id),
          l.why_not.empty() ? fmt::format("{}, {:.1f} GB", l.info.name, static_cast<double>(l.info.memory_bytes) / 1e9)
                            : l.why_not);
  out += "\ntry\n";
  constexpr std::pair<const char*, const char*> kTry[] = {
      {"run --suite quick", "a dense and a mixture-of-experts model, three minutes"},
      {"run -m qwen3-30b-a3b --price 0.10/h", "what a token of one model costs here"},
      {"plan -m qwen3-235b-a22b -b 64", "what one would have to compute and hold, without running it"}};
  for (const auto& [words, what] : kTry) out += hanging_line(fmt::format("  layercost {:<35}    ", words), what);
  fmt::print("{}\nlayercost --help lists all commands\n", out);
  return 0;
}

namespace {

// An empty word is a shell variable that was not set, and would count as an option that was not given.
void refuse_empty_values(const CLI::App& app) {
  for (const CLI::App* used : app.get_subcommands())
    for (const CLI::Option* option : used->get_options())
      for (const std::string& value : option->results())
        if (value.empty() && option->get_name() != "--prefix")  // where "" is the prefix of bare models
          throw BadInput(option->get_name() + ": expected a value, got an empty one");
}

int run_command(int argc, char** argv) {
  CLI::App app("Runs real transformer layers on this machine and tells what a token costs here.", "layercost");
  app.set_version_flag("--version", LAYERCOST_VERSION);
  app.require_subcommand(0, 1);
  app.formatter(std::make_shared<HelpText>());
  app.footer(
      "Exit codes: 0 all that was asked for was done, or is knowingly unsupported; 1 wrong, failed, stopped, "
      "incomplete, or it could not be written; 2 the command line or a file is not as it should be.");
  Action action = welcome;
  add_run(app, action);
  add_check(app, action);
  add_plan(app, action);
  add_project(app, action);
  add_list(app, action);
  add_report(app, action);
  add_cost(app, action);
  add_claims(app, action);
  add_compare(app, action);
  add_cite(app, action);
  add_merge(app, action);
  add_ops(app, action);
  add_doctor(app, action);
  add_help(app, action);
  add_completion(app, action);
  add_man(app, action);
  // For result files: names of files without their folders.
  for (int i = 1; i < argc; ++i) command_words().push_back(word_without_folders(argv[i]));
  try {
    app.parse(argc, argv);
    refuse_empty_values(app);
    return action();
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    std::vector<std::string> known;
    for (const CLI::App* sub : app.get_subcommands({})) known.push_back(sub->get_name());
    const CLI::App* used = app.get_subcommands().empty() ? &app : app.get_subcommands().front();
    for (const CLI::Option* o : used->get_options())
      for (const std::string& name : o->get_lnames()) known.push_back("--" + name);
    std::string hint;
    for (int i = 1; i < argc && hint.empty(); ++i) {
      if (i > 1 && argv[i][0] != '-') continue;  // a value
      const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
      if (std::find(known.begin(), known.end(), word) == known.end()) hint = did_you_mean(word, known);
    }
    tell("layercost: {}{}\n", printable(e.what(), 300), hint);
    return 2;
  } catch (const BadInput& e) {
    tell("layercost: {}\n", e.what());
    return 2;
  } catch (const BadCase& e) {
    tell("layercost: {}\n", e.what());
    return 2;
  } catch (const Interrupted&) {
    tell("layercost: stopped\n");
    return 1;
  } catch (const OutOfMemory& e) {
    tell("layercost: {}\n", e.what());
    return 1;
  } catch (const std::bad_alloc&) {
    tell("layercost: out of memory\n");
    return 1;
  } catch (const std::exception& e) {
    if (std::ferror(stdout) == 0) tell("layercost: {}\n", e.what());  // else it is standard output: close_output tells
    return 1;
  }
}

// A library's OpenMP threads spin for 10 ms after a call, on CPUs where other threads compute by then. How long they do
// is read from the environment when the program is loaded: so commands that measure start once more, unless the user
// has said it.
void start_with_openmp_that_sleeps(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command != "run" && command != "ops") return;
  constexpr const char* kNames[] = {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"};
  for (const char* name : {"OMP_WAIT_POLICY", kNames[0], kNames[1]})
    if (std::getenv(name) != nullptr) return;
  setenv(kNames[0], "2000", 1);  // libgomp: some 60 us
  setenv(kNames[1], "0", 1);     // LLVM's: ms
  // By its own path, or ps, top and pkill know it as "exe".
  std::error_code ignored;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  for (const char* path : {program.c_str(), "/proc/self/exe"}) execv(path, argv);
  for (const char* name : kNames) unsetenv(name);  // it goes on as it is
}

}  // namespace
}  // namespace layercost

int main(int argc, char** argv) {
  layercost::start_with_openmp_that_sleeps(argc, argv);
  layercost::prepare_streams();
  return layercost::close_output(layercost::run_command(argc, argv));
}
