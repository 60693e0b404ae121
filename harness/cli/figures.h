// What:    the two things that figures need from outside the program, both brought by scripts/figures --install: the
//          viewer that is put into pages, and the renderer that makes SVG, PDF and PNG.
// Where:   the viewer is --viewer FILE, else $LAYERCOST_VIEWER, else figures/viewer.js where that script installs:
//          .venv-figures of the checkout, or $XDG_DATA_HOME/layercost/figures (~/.local/share/layercost/figures) of an
//          installed program. The script itself lies in scripts/ of the checkout or beside the installed configs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "harness/result/record.h"

namespace layercost {

inline constexpr std::size_t kViewerMaxBytes = 8'000'000;

// The viewer's script; "" where none is found, which is told on standard error with the command that brings it.
// `given`: --viewer, or "". BadInput for a file that is named and cannot be read.
std::string viewer_script(const std::string& given);

// Writes every figure of the files as Vega-Lite, SVG, PDF and PNG into the folder, which is made if it is not there.
// Exit code: 0, or that of the renderer. BadInput, before anything is written, where there is no renderer or
// no folder but a file, and without `force` where one of the pictures is there already.
int write_figures(std::span<const ResultFile> files, const std::filesystem::path& folder, bool force);

}  // namespace layercost
