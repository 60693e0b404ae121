// What:    runs a libFuzzer entry without libFuzzer, so that it can run under any compiler and in CTest:
//            fuzz_x SECONDS [FILE_OR_FOLDER]...
//          Every file is fed as it is; then mutations of the files follow until the time is over. The n-th mutation is
//          the same on every machine. An input that ends the process is on disk as fuzz-last-input.bin in the working
//          folder (written when the process dies by a signal).
// Errors:  exit code 2 if no seed was found or nothing ran: a fuzz test that feeds nothing is no test.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

namespace {

using Bytes = std::vector<std::uint8_t>;

// splitmix64 (Steele, Lea, Flood 2014): the same sequence everywhere.
struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
};

// Words that sit on the edges of the formats; single flipped bytes seldom find them.
constexpr std::array<std::string_view, 36> kWords{"null",
                                                  "true",
                                                  "false",
                                                  "[]",
                                                  "{}",
                                                  "[",
                                                  "{",
                                                  "]",
                                                  "}",
                                                  "\"",
                                                  ",",
                                                  ":",
                                                  "0",
                                                  "-1",
                                                  "1e999",
                                                  "1e308",
                                                  "2.0",
                                                  "NaN",
                                                  "9223372036854775807",
                                                  "9223372036854775808",
                                                  "18446744073709551616",
                                                  "4294967296",
                                                  "\xEF\xBB\xBF",
                                                  "\xff",
                                                  "\\u0000",
                                                  "\\ud800",
                                                  "\n",
                                                  "\x1b[2J",
                                                  "\"model_type\":\"qwen3_moe\"",
                                                  "\"model_type\":\"mixtral\"",
                                                  "\"sliding_window\":4096",
                                                  "\"layer_types\":[\"full_attention\"]",
                                                  "\"rope_scaling\":{\"type\":\"llama3\"}",
                                                  "\"__metadata__\":{}",
                                                  "\"BF16\"",
                                                  "[[[[[[[[[[[[[[[["};

Bytes mutated(const std::vector<Bytes>& seeds, std::uint64_t number) {
  Random random{number * 0xD1B54A32D192ED03u + 1};
  Bytes bytes = seeds[random.below(seeds.size())];
  for (std::size_t rounds = 1 + random.below(4); rounds > 0; --rounds) {
    const std::size_t at = random.below(bytes.size() + 1);
    const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random.below(7)) {
      case 0:  // change a byte
        if (at < bytes.size()) *here = static_cast<std::uint8_t>(random.next());
        break;
      case 1:  // flip a bit
        if (at < bytes.size()) *here = static_cast<std::uint8_t>(*here ^ (1u << random.below(8)));
        break;
      case 2: {  // remove a piece
        const std::size_t count = std::min(bytes.size() - at, 1 + random.below(16));
        bytes.erase(here, here + static_cast<std::ptrdiff_t>(count));
        break;
      }
      case 3: {  // insert a word
        const std::string_view word = kWords[random.below(kWords.size())];
        bytes.insert(here, word.begin(), word.end());
        break;
      }
      case 4: {  // replace the value behind the next colon
        const auto colon = std::find(here, bytes.end(), std::uint8_t{':'});
        if (colon == bytes.end()) break;
        const auto end = std::find_if(colon, bytes.end(), [](std::uint8_t c) { return c == ',' || c == '}'; });
        const std::string_view word = kWords[random.below(kWords.size())];
        const auto rest = bytes.erase(colon + 1, end);
        bytes.insert(rest, word.begin(), word.end());
        break;
      }
      case 5: {  // copy a piece elsewhere
        const std::size_t count = std::min(bytes.size() - at, 1 + random.below(64));
        const Bytes piece(here, here + static_cast<std::ptrdiff_t>(count));
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(random.below(bytes.size() + 1)), piece.begin(),
                     piece.end());
        break;
      }
      default:  // cut short
        bytes.resize(at);
    }
  }
  return bytes;
}

const Bytes* current = nullptr;

// Only calls that a signal handler may make.
void save_current() {
  if (current == nullptr) return;
  const int fd = ::open("fuzz-last-input.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(fd, current->data(), current->size());
  ::close(fd);
}

void on_signal(int number) {
  save_current();
  ::signal(number, SIG_DFL);
  ::raise(number);
}

void feed(const Bytes& bytes) {
  current = &bytes;
  try {
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unexpected exception: %s\n", error.what());
    std::abort();
  }
  current = nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  char* end = nullptr;
  const double seconds = argc > 1 ? std::strtod(argv[1], &end) : 0.0;
  if (argc < 3 || end == argv[1] || *end != '\0' || !(seconds >= 0.0)) {
    std::fprintf(stderr, "usage: %s SECONDS FILE_OR_FOLDER...\n", argv[0]);
    return 2;
  }
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(number, on_signal);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(save_current);
#endif

  std::vector<std::filesystem::path> files;
  for (int i = 2; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      files.emplace_back(argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());  // a folder lists in any order; the n-th mutation must not depend on it
  std::vector<Bytes> seeds;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
      std::fprintf(stderr, "%s: cannot be read\n", file.c_str());
      return 2;
    }
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "no seed was found\n");
    return 2;
  }
  for (const Bytes& seed : seeds) feed(seed);

  const auto start = std::chrono::steady_clock::now();
  std::uint64_t count = 0;
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
    for (int i = 0; i < 64; ++i) feed(mutated(seeds, count++));
  }
  std::printf("%zu seeds and %llu mutations, nothing found\n", seeds.size(), static_cast<unsigned long long>(count));
  return 0;
}
