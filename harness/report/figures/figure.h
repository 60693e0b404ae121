// What:    the figures of a page: each is a Vega-Lite specification without data, the rows that it draws, and a caption
//          that says the conditions. Specifications are written for Vega-Lite 6.4; a renderer puts rows in as `data`.
//          Adding one: a file with a builder, its declaration below, and a row of kFigures in figures.cpp.
// Rules:   a figure and the table beside it are of the same rows, so that a screen reader gets every number that is
//          drawn. What cannot be drawn is absent with a reason, never an empty frame. Reports compute nothing: numbers
//          come from cost/. Colours are named tones (tones.h), so that one specification serves light, dark and paper.
//          Text of a file is in rows alone, never in a specification: there Vega-Lite would read parts of it.
// Signs:   measured points are filled, PRELIMINARY ones and those of a model that does not fit are hollow and joined by
//          no line; modelled is dashed, published dotted; a bar through a point is its 95 % interval.
// Units:   of rows: SI, as in cost/metrics.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "harness/cost/summary.h"
#include "harness/report/section.h"
#include "harness/result/record.h"

namespace layercost {

struct FigureColumn {
  std::string field, title = {};  // in `data`, an interval as FIELD_low and FIELD_high; without a title in no table; of
                                  // Form::range in the table alone
  Form form = Form::text;
  bool whole = false;  // a count, of which no digit may go
};

struct FigurePanel {
  std::string title = {};
  nlohmann::json spec;                             // null: rows for the table alone
  std::vector<std::vector<TableCell>> rows = {};   // one cell for each column of the figure
};

struct Figure {
  std::string caption;
  std::vector<FigureColumn> columns = {};
  std::vector<FigurePanel> panels = {};
  std::string absent = {};  // why nothing can be drawn; then there are no panels
};

struct FigureSource {
  const ResultFile& file;
  const Summary& summary;
};

struct FigureKind {
  std::string_view name, title;
  Figure (*build)(const FigureSource&);
  Figure (*across)(std::span<const FigureSource>) = nullptr;  // the same of several results in one
};

// THE list of builders; kFigures says their order.
Figure frontier_figure(const FigureSource&);      // money against speed for one user
Figure frontier_across(std::span<const FigureSource>);
Figure over_batch_figure(const FigureSource&);    // promised, possible, paid
Figure over_context_figure(const FigureSource&);  // the same
Figure formats_figure(const FigureSource&);       // promised, possible, paid of weight formats
Figure twins_figure(const FigureSource&);         // from which size of a dense model on the mixture is cheaper
Figure levers_figure(const FigureSource&);        // what each design decision saves
Figure list_price_figure(const FigureSource&);    // a mix's cost beside what an API asks
Figure break_even_figure(const FigureSource&);    // tokens a day from which one way to pay beats another
Figure energy_figure(const FigureSource&);
Figure utilisation_figure(const FigureSource&);  // share of possible, by layer and operation
Figure roofline_figure(const FigureSource&);
Figure shares_figure(const FigureSource&);   // of the operations in a layer's time
Figure touched_figure(const FigureSource&);  // experts that a step reads, over its tokens
Figure routing_figure(const FigureSource&);  // load of experts

std::span<const FigureKind> figure_kinds();

// The panel's rows as Vega-Lite's `data`.values: an object a row; and the same as {"fields": [...], "rows": [[...]]},
// which takes half the room. Six digits are drawn.
nlohmann::json figure_values(const Figure& figure, const FigurePanel& panel);
nlohmann::json figure_rows(const Figure& figure, const FigurePanel& panel);
// With data and settings, in the tones of paper: what a program outside the page draws.
nlohmann::json complete_spec(const Figure& figure, const FigurePanel& panel);
// Sizes and lines that all specifications share, as Vega-Lite's `config`.
nlohmann::json figure_config();

}  // namespace layercost
