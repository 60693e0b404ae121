// What:    how quantisation configs name modules: four dialects of one matcher.
//            name          the module itself: compressed-tensors
//            regex         Python's re.match, from the start of the name on: compressed-tensors behind "re:"
//            transformers  a regex as above that ends at a dot or the end, or the end of the name:
//            modules_to_not_convert
//                          (transformers 5.23, quantizers_utils.should_convert_module)
//            glob          * ? [abc], the whole name: ModelOpt
//          A regex runs as an automaton, so that no pattern, however hostile, takes more than its length x the name's.
//          Known: literals, . \d \w \s [a-z] [^a] ( ) (?: ) | * + ? {m,n} ^ $; look-around and references are refused.
// Errors:  BadInput with what is not understood; the caller knows the place.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace layercost {

class NamePattern {
 public:
  enum class Dialect { name, regex, transformers, glob };
  NamePattern(Dialect, std::string text);
  bool matches(std::string_view name) const;
  const std::string& text() const { return text_; }

  // An automaton's state: reads a character of `set`, or goes on without: both ways of a split, at the end of the name.
  struct State {
    enum class Kind { read, split, at_end, accept } kind = Kind::accept;
    std::bitset<256> set = {};
    std::size_t next = 0, other = 0;
  };

 private:
  Dialect dialect_;
  std::string text_;
  std::vector<State> states_;
  std::size_t start_ = 0;
};

}  // namespace layercost
