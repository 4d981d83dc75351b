// The small form on the slide in which a mark gets its label and note, or is removed.

import { h } from "./dom.js"
import { measure } from "./marks.js"

const LABELS = ["Tumour", "Benign", "Necrosis", "Inflammation", "Artefact", "Region of interest", "Measurement"]

export class MarkForm {
  constructor() {
    this.element = h("form", { class: "mark-form", hidden: true, "aria-label": "Annotation" })
  }

  /**
   * @param mark {label, note, geometry, author?}
   * @param options {mpp, canEdit, onSave(label, note), onRemove, onClose}
   */
  open(mark, { mpp, canEdit, onSave, onRemove, onClose }) {
    const label = h("input", { type: "text", maxlength: 80, value: mark.label ?? "", list: "sr-labels", name: "label", autocomplete: "off", disabled: !canEdit })
    const note = h("textarea", { rows: 2, maxlength: 2000, name: "note", disabled: !canEdit })
    note.value = mark.note ?? ""
    const isNew = !mark.id
    this.element.replaceChildren(
      h("header", {}, h("strong", {}, isNew ? "New annotation" : "Annotation"), h("span", {}, measure(mark.geometry, mpp))),
      h("label", {}, "Label", label),
      h("datalist", { id: "sr-labels" }, LABELS.map(text => h("option", { value: text }))),
      h("label", {}, "Note", note),
      mark.author && h("small", {}, `${mark.author}, ${mark.at}`),
      h(
        "footer",
        {},
        onRemove && canEdit && h("button", { type: "button", class: "plain", onclick: () => onRemove() }, "Remove"),
        h("span", { class: "grow" }),
        h("button", { type: "button", class: "plain", onclick: () => onClose() }, isNew ? "Discard" : "Close"),
        canEdit && h("button", { type: "submit", class: "main" }, "Save"),
      ),
    )
    this.element.onsubmit = event => {
      event.preventDefault()
      onSave(label.value.trim(), note.value.trim())
    }
    this.element.onkeydown = event => {
      event.stopPropagation()
      if (event.key === "Escape") onClose()
      if (event.key === "Enter" && event.target === label) {
        event.preventDefault()
        onSave(label.value.trim(), note.value.trim())
      }
    }
    this.element.hidden = false
    label.focus()
    // And once more after the pointer event that ended a drag: OpenSeadragon gives the slide the focus at its very end,
    // and what is typed for the label would then be taken for keys.
    setTimeout(() => label.isConnected && label.focus())
  }

  close() {
    this.element.hidden = true
    this.element.replaceChildren()
  }
}
