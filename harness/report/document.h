// What:    tables as documents show them, for the renderers of Markdown, LaTeX and HTML: the columns that have a title,
//          every row of an entry, notes in a column of their own, sentences below. Renderers escape and lay out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "harness/report/section.h"

namespace layercost {

// Reads from left to right; other columns are numbers.
bool is_text(const Column& column);

// An absent value with its reason.
std::string document_text(const TableCell& cell, Form form);

std::vector<const Column*> document_columns(const Table& table);

// Of each row of an entry the cells of document_columns(); null where a panel has fewer rows than another.
using DocumentRow = std::vector<const TableCell*>;
std::vector<DocumentRow> document_rows(const Table& table, const Entry& entry);

// The same as texts, with the notes behind the first row's.
std::vector<std::vector<std::string>> document_cells(const Table& table, const Entry& entry);

// Of a group, below its table.
std::vector<std::string> document_sentences(const Table& table, const Group& group);

}  // namespace layercost
