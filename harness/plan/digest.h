// What:    a digest of all that a model's numbers follow from, so that two configs of one name are told apart.
// Formula: the first 64 bits of SHA-256 over canonical_text: model type, sizes, epsilon, which kind each layer is,
//          and of each kind and the head the plan of one token at an empty cache: its ops with all their keys (windows,
//          scales, epsilons), weights, buffers and the rotary embedding. Not in it: name, id, path, notes, the longest
//          context.
// Rules:   the text of a plan may change from version to version of the program; digests of one build can be compared.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/plan/model.h"

namespace layercost {

std::string canonical_text(const ModelSpec&);
std::string model_digest(const ModelSpec&);  // 16 hexadecimal digits

}  // namespace layercost
