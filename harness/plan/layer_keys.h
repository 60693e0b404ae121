// What:    keys of published configs that change what a layer or head computes. A family that does not ask for one that
//          is there would measure another model in silence; it refuses it instead. Which keys a family reads is seen
//          from what it asks the JsonNode for, so that it says so once. A new key is a row of layer_keys.cpp.
// Neutral: null, and the values of the row, under which the layer is the same without the key.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "harness/spec/json_reader.h"

namespace layercost {

struct LayerKey {
  std::string_view key;
  std::string_view neutral;  // words, between blanks: "false", "0 1", "softmax"; "[]" an empty list or object
  std::string_view meaning;
  std::string_view unless_false = {};  // a key that, where it is false, makes any value neutral
};
std::span<const LayerKey> layer_keys();

// `text`: of a document that remembers keys (JsonLimits), after the family has read it.
void refuse_unread_layer_keys(const JsonNode& text, std::string_view model_type);

}  // namespace layercost
