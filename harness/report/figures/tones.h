// What:    the colours of the page and its figures by name, on light and on dark ground.
// Source:  series: Okabe and Ito, "Color Universal Design", 2008, its lighter ones darkened on light ground until they
//          stand at 3:1 against it (WCAG 2.2, 1.4.11); text stands at 7:1. No figure tells series apart by colour
//          alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace layercost {

struct Tone {
  std::string_view name, light, dark;
};

inline constexpr std::array kTones = {
    Tone{"ground", "#ffffff", "#14171c"},
    Tone{"raised", "#f6f7f9", "#1c2027"},
    Tone{"ink", "#1b1f24", "#e8eaed"},
    Tone{"quiet", "#4b5563", "#aab2bd"},
    Tone{"line", "#d9dde3", "#343a44"},
    Tone{"accent", "#005f99", "#6cb8ee"},
    Tone{"edge", "#cfd5dd", "#3d4550"},
    Tone{"alarm", "#a33000", "#ff9a6b"},
    Tone{"series1", "#0072b2", "#56b4e9"},
    Tone{"series2", "#d55e00", "#f28e4a"},
    Tone{"series3", "#008060", "#33c496"},
    Tone{"series4", "#a34f83", "#dc95c0"},
    Tone{"series5", "#9a6a00", "#e9b949"},
    Tone{"series6", "#5b6b7f", "#9fb0c3"},
    Tone{"series7", "#5a4fcf", "#a9a1ff"},
    Tone{"series8", "#7a4b2a", "#c79a78"},
};
inline constexpr std::size_t kSeriesTones = 8;

// As specifications and style sheets name it: "var(--ink)".
inline std::string tone(std::string_view name) { return "var(--" + std::string(name) + ")"; }
inline std::string series_tone(std::size_t i) { return tone("series" + std::to_string(i % kSeriesTones + 1)); }

}  // namespace layercost
