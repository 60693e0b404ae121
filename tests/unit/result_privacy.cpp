// SPDX-License-Identifier: Apache-2.0
#include "harness/result/privacy.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/result/identity.h"
#include "harness/result/merge.h"
#include "harness/result/result_io.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

TEST(Privacy, WordsOfTheCommandLineLoseTheirFolders) {
  const std::pair<const char*, const char*> cases[] = {
      {"run", "run"},
      {"/srv/x/a.json", "a.json"},
      {"../secret/a.json", "a.json"},
      {"/srv/x/models/", "models"},
      {"--output=/srv/x/a.json", "--output=a.json"},
      {"--output=a.json", "--output=a.json"},
      {"--no-head", "--no-head"},
      {"-m=/srv/x/config.json", "-m=config.json"},
      {"-o/srv/x.json", "-ox.json"},
      {"-ox/y/z.json", "-oz.json"},
      {"-b1,8", "-b1,8"},
      {"-c", "-c"},
      {"-", "-"},
      {"--", "--"},
      {"", ""},
      {"/", ""},
      {"1.25/h", "1.25/h"},
      {"--price=1.25/h", "--price=1.25/h"},
      {"1e-3/h", "1e-3/h"},
      {"2.50/hour", "2.50/hour"},
      {"2.50/day", "day"},
      {"/srv/5/h", "h"},
      {"--price=/srv/x/price.json", "--price=price.json"},
      {"Qwen/Qwen3-4B", "Qwen3-4B"},
      {"linear=onednn_packed", "linear=onednn_packed"},
      {"x=/srv/y/z", "z"},
  };
  for (const auto& [word, expected] : cases) EXPECT_EQ(word_without_folders(word), expected) << word;
}

// By Python: hashlib.sha256(b"GPU-01020304-...").hexdigest()[:16], and of "GPU-... 00000000:01:00.0".
TEST(Privacy, AGpusNumbersAreHashed) {
  GpuRecord gpu = fixture::gpu();
  hash_identifiers(gpu);
  EXPECT_EQ(gpu.uuid, "sha256:ed20d30a1eb2638d");
  EXPECT_EQ(gpu.pci, "sha256:e53459c0d98b989e");
  const GpuRecord once = gpu;
  hash_identifiers(gpu);
  EXPECT_EQ(gpu.uuid, once.uuid);
  EXPECT_EQ(gpu.pci, once.pci);
  GpuRecord unknown;
  hash_identifiers(unknown);
  EXPECT_EQ(unknown.uuid + unknown.pci, "");
}

TEST(Privacy, AnOlderFilesGpuIsTheSameOne) {
  ResultFile file = fixture::result_file();
  file.environment.gpu = fixture::gpu();
  const ResultFile older = result_from_text("r.json", result_to_text(file, nullptr));
  hash_identifiers(*file.environment.gpu);
  EXPECT_EQ(older.environment.gpu->uuid, file.environment.gpu->uuid);
  EXPECT_FALSE(machine_difference(older.environment, file.environment));
  file.environment.gpu = fixture::gpu();
  file.environment.gpu->uuid.back() = '1';
  EXPECT_EQ(machine_difference(older.environment, result_from_text("r.json", result_to_text(file, nullptr)).environment)
                ->member,
            "environment.gpu.uuid");
}

TEST(Privacy, MergedFilesNameFilesAndNotFolders) {
  ResultFile a = fixture::result_file(), b = a, c = a;
  for (auto [file, factor] : {std::pair(&b, 2.0), std::pair(&c, 3.0)})
    for (PointRecord& point : file->points)
      for (PartRecord& part : point.parts)
        for (Round& round : part.rounds)
          for (Sample& sample : round.samples) sample.time_s *= factor, sample.section_s *= factor;
  c.points[1].parts[0].ops[1].variant = "plain_loops";
  const ResultFile file = merge_results({{"/srv/x/1/r.json", a}, {"/srv/x/2/r.json", b}, {"/srv/x/c.json", c}});
  ASSERT_EQ(file.warnings.size(), 1u);
  EXPECT_TRUE(file.warnings[0].text.ends_with("onednn_best in r.json, r.json (2); plain_loops in c.json"))
      << file.warnings[0].text;
}

}  // namespace
}  // namespace layercost
