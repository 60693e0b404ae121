// What:    standard output and standard error, so that neither costs a measurement.
// How:     what goes to standard error is lost if it cannot be written (a terminal that went away, a full disk, 2>&-)
//          and nobody is told, because there is no other place to tell it. An error of standard output is found at the
//          end, when everything is flushed, and is exit code 1.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace layercost {

// To be called first. Writing to a pipe that nobody reads, or beyond the limit of a file's size, is an error and no
// signal; a descriptor 0 to 2 that is closed is taken, so that no result file gets its number.
void prepare_streams();

void tell_text(std::string_view);  // to standard error; never throws
template <typename... T>
void tell(fmt::format_string<T...> format, T&&... values) {
  tell_text(fmt::format(format, std::forward<T>(values)...));
}

void show(std::string_view);  // to standard output; never throws, close_output tells

// The exit code: `code`, or 1 instead of 0 if standard output could not be written, which is told.
int close_output(int code);

}  // namespace layercost
