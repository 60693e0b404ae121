// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/name_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/core/error.h"

namespace layercost {
namespace {

using State = NamePattern::State;
using Set = std::bitset<256>;

constexpr std::size_t kMaxText = 1024, kMaxStates = 8192;
constexpr int kMaxDepth = 32;
constexpr std::size_t kOpen = SIZE_MAX;  // an exit that leads nowhere yet

std::size_t code(char c) { return static_cast<unsigned char>(c); }

Set range(char from, char to) {
  Set set;
  for (std::size_t c = code(from); c <= code(to); ++c) set.set(c);
  return set;
}

// Recursive descent; a fragment's open exits are patched to whatever follows.
class Compiler {
 public:
  Compiler(std::string_view text, std::vector<State>& states) : text_(text), states_(states) {}

  struct Fragment {
    std::size_t start;
    std::vector<std::pair<std::size_t, bool>> exits;  // state, and whether its second way
  };

  std::size_t compile() {
    Fragment all = alternatives(0);
    if (at_ < text_.size()) fail(fmt::format("'{}' closes nothing", text_[at_]));
    patch(all, add({State::Kind::accept}));
    return all.start;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw BadInput(fmt::format("the pattern '{}' is not understood at {}: {}", printable(text_), at_, why));
  }
  std::size_t add(State s) {
    if (states_.size() >= kMaxStates) fail("it is too long");
    states_.push_back(s);
    return states_.size() - 1;
  }
  void patch(const Fragment& f, std::size_t to) {
    for (const auto& [state, second] : f.exits) (second ? states_[state].other : states_[state].next) = to;
  }
  bool has(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) {
    if (!has(c)) return false;
    ++at_;
    return true;
  }

  Fragment empty() {
    const std::size_t s = add({State::Kind::split, {}, kOpen, kOpen});
    return {s, {{s, false}, {s, true}}};
  }
  Fragment reading(const Set& set) {
    const std::size_t s = add({State::Kind::read, set, kOpen});
    return {s, {{s, false}}};
  }
  Fragment joined(const Fragment& a, Fragment b) {
    patch(a, b.start);
    return {a.start, std::move(b.exits)};
  }
  Fragment either(const Fragment& a, const Fragment& b) {
    const std::size_t s = add({State::Kind::split, {}, a.start, b.start});
    Fragment out{s, a.exits};
    out.exits.insert(out.exits.end(), b.exits.begin(), b.exits.end());
    return out;
  }
  Fragment maybe(const Fragment& a) {
    const std::size_t s = add({State::Kind::split, {}, a.start, kOpen});
    Fragment out{s, a.exits};
    out.exits.emplace_back(s, true);
    return out;
  }
  Fragment any_number(const Fragment& a) {
    const std::size_t s = add({State::Kind::split, {}, a.start, kOpen});
    patch(a, s);
    return {s, {{s, true}}};
  }

  Fragment alternatives(int depth) {
    if (depth > kMaxDepth) fail("groups are nested too deeply");
    Fragment out = sequence(depth);
    while (take('|')) out = either(out, sequence(depth));
    return out;
  }
  Fragment sequence(int depth) {
    Fragment out = empty();
    while (at_ < text_.size() && !has('|') && !has(')')) out = joined(out, repeated(depth));
    return out;
  }
  Fragment repeated(int depth) {
    const std::size_t begin = at_;
    Fragment one = atom(depth);
    // The atom once more, from its text.
    const auto again = [&] {
      const std::size_t here = std::exchange(at_, begin);
      Fragment copy = atom(depth);
      at_ = here;
      return copy;
    };
    if (take('*')) one = any_number(one);
    else if (take('+')) one = joined(one, any_number(again()));
    else if (take('?')) one = maybe(one);
    else if (has('{')) {
      const auto [low, high] = counts();
      Fragment out = empty();
      for (int i = 0; i < low; ++i) out = joined(out, i == 0 ? one : again());
      for (int i = low; i < high; ++i) out = joined(out, maybe(again()));
      if (high < 0) out = joined(out, any_number(again()));
      one = out;
    } else {
      return one;
    }
    take('?');  // lazy: the same names match
    if (has('*') || has('+') || has('{')) fail("two repetitions in a row");
    return one;
  }
  std::pair<int, int> counts() {
    ++at_;
    const auto number = [&]() -> int {
      int n = 0;
      const std::size_t from = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9')
        if ((n = n * 10 + (text_[at_++] - '0')) > 99) fail("a repetition of more than 99");
      return at_ == from ? -1 : n;
    };
    const int low = number();
    int high = low;
    if (take(',')) high = number();
    if (!take('}') || low < 0 || (high >= 0 && high < low)) fail("expected {m}, {m,} or {m,n}");
    return {low, high};
  }
  Fragment atom(int depth) {
    const char c = text_[at_++];
    switch (c) {
      case '(': {
        if (take('?') && !take(':')) fail("look-around and named groups are not known");
        Fragment inside = alternatives(depth + 1);
        if (!take(')')) fail("a group is not closed");
        return inside;
      }
      case '[':
        return reading(character_class());
      case '.':
        return reading(Set().set());
      case '$': {
        const std::size_t s = add({State::Kind::at_end, {}, kOpen});
        return {s, {{s, false}}};
      }
      case '^':
        if (at_ != 1) fail("'^' is known at the beginning only");
        return empty();
      case '\\':
        return reading(escaped());
      case '*':
      case '+':
      case '?':
      case '{':
        --at_;
        fail("nothing to repeat");
      default:
        return reading(Set().set(code(c)));
    }
  }
  Set escaped() {
    if (at_ == text_.size()) fail("ends in a backslash");
    const char c = text_[at_++];
    const Set word = range('a', 'z') | range('A', 'Z') | range('0', '9') | Set().set(code('_'));
    switch (c) {
      case 'd':
        return range('0', '9');
      case 'D':
        return ~range('0', '9');
      case 'w':
        return word;
      case 'W':
        return ~word;
      case 's':
        return Set().set(code(' '));
      default:
        if (word.test(code(c))) {
          --at_;
          fail(fmt::format("'\\{}' is not known", c));
        }
        return Set().set(code(c));
    }
  }
  Set character_class() {
    Set set;
    const bool negated = take('^');
    for (bool first = true; first || !has(']'); first = false) {
      if (at_ >= text_.size()) fail("a set is not closed");
      const char c = text_[at_++];
      if (c == '\\') {
        set |= escaped();
        continue;
      }
      if (has('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        const char to = text_[at_++];
        if (code(to) < code(c)) fail("a set runs backwards");
        set |= range(c, to);
      } else {
        set.set(code(c));
      }
    }
    ++at_;
    return negated ? ~set : set;
  }

  std::string_view text_;
  std::vector<State>& states_;
  std::size_t at_ = 0;
};

std::string regex_of_glob(const std::string& glob) {
  std::string out;
  for (const char c : glob) {
    if (c == '*') out += ".*";
    else if (c == '?') out += '.';
    else if (std::string_view(".+(){}|^$\\").find(c) != std::string_view::npos) out += std::string("\\") + c;
    else out += c;
  }
  return out + "$";
}

// Most entries of published lists: whole names, whose dots are as good as literal.
bool is_plain(std::string_view text) { return text.find_first_of("\\[](){}|*+?^$") == std::string_view::npos; }

}  // namespace

NamePattern::NamePattern(Dialect dialect, std::string text) : dialect_(dialect), text_(std::move(text)) {
  if (text_.empty() || text_.size() > kMaxText)
    throw BadInput(fmt::format("a pattern of {} characters; expected 1 to {}", text_.size(), kMaxText));
  if (dialect == Dialect::name || (dialect != Dialect::regex && is_plain(text_))) return;
  const std::string regex = dialect == Dialect::glob ? regex_of_glob(text_) : text_;
  start_ = Compiler(regex, states_).compile();
}

bool NamePattern::matches(std::string_view name) const {
  const auto boundary = [&](std::size_t at) {
    return at == name.size() || name[at] == '.' || (at > 0 && name[at - 1] == '.');
  };
  if (dialect_ == Dialect::transformers && name.ends_with(text_)) return true;
  if (states_.empty()) {
    if (dialect_ == Dialect::transformers) return name.starts_with(text_) && boundary(text_.size());
    return name == text_;
  }
  std::vector<std::size_t> now, next, stack;
  std::vector<std::size_t> seen(states_.size(), SIZE_MAX);
  // Whether an accepting state is reached at `at` with what is in `now`, which is completed.
  const auto complete = [&](std::size_t at) {
    bool accepted = false;
    stack = std::exchange(now, {});
    while (!stack.empty()) {
      const std::size_t s = stack.back();
      stack.pop_back();
      if (seen[s] == at) continue;
      seen[s] = at;
      const State& state = states_[s];
      if (state.kind == State::Kind::accept) accepted = true;
      else if (state.kind == State::Kind::read) now.push_back(s);
      else if (state.kind == State::Kind::split) stack.insert(stack.end(), {state.next, state.other});
      else if (at == name.size()) stack.push_back(state.next);
    }
    return accepted;
  };
  now = {start_};
  for (std::size_t at = 0;; ++at) {
    if (complete(at) && (dialect_ != Dialect::transformers || boundary(at))) return true;
    if (at == name.size() || now.empty()) return false;
    next.clear();
    for (const std::size_t s : now)
      if (states_[s].set.test(code(name[at]))) next.push_back(states_[s].next);
    now.swap(next);
  }
}

}  // namespace layercost
