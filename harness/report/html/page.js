// What:  draws the figures of the page, tells what is under the pointer, saves figures. Everything it needs is in the
//        page. A figure that cannot be drawn leaves its table open in its place.
// SPDX-License-Identifier: Apache-2.0
(() => {
  'use strict';
  const { config, specs, texts, plots } = JSON.parse(document.getElementById('plots').textContent);
  const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // ---- what is under the pointer: text only ----

  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  const tell = (handler, event, item, value) => {
    tip.replaceChildren();
    tip.hidden = value === null || value === undefined || value === '';
    if (tip.hidden) return;
    for (const [name, text] of Object.entries(value)) {
      const line = document.createElement('div'), head = document.createElement('span');
      head.textContent = name;
      line.append(head, String(text));
      tip.append(line);
    }
    const { clientX: x, clientY: y } = event, box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 4))}px`;
    tip.style.top = `${y + 14 + box.height > innerHeight ? Math.max(4, y - box.height - 10) : y + 14}px`;
  };

  // ---- saving: an SVG of the page knows the page's colours by name, a file has to hold them ----

  const as_file = (svg) => svg.replace(/var\((--[a-z0-9]+)\)/g, (all, name) => tone(name) || all);
  const save = (blob, name) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const save_svg = async (view, name) =>
    save(new Blob([as_file(await view.toSVG())], { type: 'image/svg+xml' }), `${name}.svg`);
  const save_png = async (view, name) => {
    const image = new Image(), scale = 3;
    image.src = URL.createObjectURL(new Blob([as_file(await view.toSVG())], { type: 'image/svg+xml' }));
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth * scale;
    canvas.height = image.naturalHeight * scale;
    const pen = canvas.getContext('2d');
    pen.fillStyle = tone('--ground');
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(image.src);
    canvas.toBlob((blob) => save(blob, `${name}.png`), 'image/png');
  };
  const buttons = (view, name, what) => {
    const row = document.createElement('p');
    row.className = 'save';
    for (const [kind, action] of [['SVG', save_svg], ['PNG', save_png]]) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = kind;
      button.setAttribute('aria-label', `save ${what} as ${kind}`);
      button.addEventListener('click', () => action(view, name));
      row.append(button);
    }
    return row;
  };

  // ---- drawing ----

  const draw = async (place) => {
    const { spec, name, data } = plots[place.dataset.plot];
    const value_of = (cell) => (Array.isArray(cell) ? texts[cell[0]] : cell);
    const values = data.rows.map((cells) => Object.fromEntries(
      data.fields.map((field, i) => [field, value_of(cells[i])]).filter(([, value]) => value !== null)));
    const result = await vegaEmbed(place, { ...specs[spec], description: name, data: { values } }, {
      actions: false, renderer: 'svg', ast: true, config, tooltip: tell,
      loader: { load: () => Promise.reject(new Error('the page loads nothing')) },
    });
    place.after(buttons(result.view, `layercost-${place.dataset.name}-${place.dataset.plot}`, name));
  };
  const draw_figure = async (figure) => {
    const table = figure.querySelector('details');
    try {
      for (const place of figure.querySelectorAll('.plot')) await draw(place);
      table.open = false;
    } catch (error) {
      for (const panel of figure.querySelectorAll('.panel')) panel.remove();
      table.dataset.instead = '';
      console.error(`${figure.id}: ${error.message}`);
    }
  };
  (async () => {
    for (const figure of document.querySelectorAll('figure')) await draw_figure(figure);
    document.documentElement.dataset.drawn = '';
  })();
})();
