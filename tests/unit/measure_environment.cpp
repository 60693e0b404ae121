// What a machine with several NUMA nodes says beside its numbers.
// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/environment.h"

#include <gtest/gtest.h>

#include "harness/report/markdown.h"
#include "harness/report/report.h"
#include "harness/report/table.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

TEST(Numa, NodesThatWereNotSpreadAreSaidWithTheResult) {
  TopologyRecord topology;
  EXPECT_FALSE(numa_warning(topology));  // the system does not tell
  topology.numa_nodes = 1;
  EXPECT_FALSE(numa_warning(topology));
  topology.numa_nodes = 2;
  const auto warning = numa_warning(topology);
  ASSERT_TRUE(warning);
  EXPECT_EQ(warning->code, "numa");

  ResultFile file = fixture::result_file();
  file.warnings.push_back(*warning);
  for (const char* name : {"table", "markdown"}) {
    const std::string text = find_report_format(name).render(std::vector{file}, {});
    EXPECT_NE(text.find("2 NUMA nodes"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace layercost
