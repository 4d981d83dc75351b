// Part of the viewer: making, choosing, changing and removing marks, by mouse or by keys.

import { Layering } from "./layering.js"
import { Draft, TOOLS, boundsOf, markAt } from "./marks.js"

const DRAG_PX = 4

export class Marking extends Layering {
  marksOf(pane) {
    const id = pane.slide.slide_id
    const saved = pane.slide.marks.filter(mark => !this.gone.has(mark.id))
    const fresh = this.pending.filter(mark => mark.slide_id === id)
    const freshIds = new Set(fresh.map(mark => mark.id))
    return [...saved.filter(mark => !freshIds.has(mark.id)), ...fresh]
  }

  setTool(name) {
    if (name !== "hand" && !this.data.can_mark) {
      this.say("Your role looks, and records nothing.")
      return
    }
    this.dropDraft()
    this.tool = name
    this.root.dataset.tool = name
    this.toolButtons.forEach(button => button.setAttribute("aria-pressed", String(button.dataset.tool === name)))
    this.hint.textContent = TOOLS[name].hint
    this.hint.hidden = name === "hand"
    this.say(TOOLS[name].label)
  }

  pointerDown(pane, event) {
    this.activate(pane)
    if (this.tool !== "rectangle" && this.tool !== "line") return
    const at = pane.toSlide(event.position)
    if (!this.draft) this.draft = new Draft(pane, this.tool)
    if (!this.draft.points.length) this.draft.points.push(at)
    this.draft.from = event.position
  }

  pointerDrag(pane, event) {
    if (this.draft?.pane !== pane || !this.draft.from || this.tool === "polygon") return
    event.preventDefaultAction = true
    this.draft.pointer = pane.toSlide(event.position)
    this.placeMarks(pane)
  }

  pointerUp(pane, event) {
    const draft = this.draft
    if (draft?.pane !== pane || !draft.from || this.tool === "polygon") return
    const moved = Math.hypot(event.position.x - draft.from.x, event.position.y - draft.from.y) > DRAG_PX
    draft.from = null
    const start = pane.toScreen(draft.points[0])
    const apart = Math.hypot(event.position.x - start.x, event.position.y - start.y) > DRAG_PX
    if (!moved && !apart) return // the first of two clicks
    draft.pointer = null
    draft.points.push(pane.toSlide(event.position))
    this.finishDraft()
  }

  pointerClick(pane, event) {
    this.activate(pane)
    const at = pane.toSlide(event.position)
    if (this.tool === "hand") {
      const hit = this.settings.marks.on ? markAt(pane, this.marksOf(pane), at) : null
      if (hit) this.select(hit)
      else if (this.selected) this.stop()
      if (this.data.reports_clicks) this.outbox.post("click", { slide_id: pane.slide.slide_id, x: at[0], y: at[1] })
      return
    }
    if (this.tool === "polygon" || this.tool === "point") {
      if (!this.draft) this.draft = new Draft(pane, this.tool)
      if (this.draft.pane !== pane) return
      const first = this.draft.points[0]
      if (this.draft.points.length >= 3 && near(pane, first, event.position)) {
        this.finishDraft()
        return
      }
      const last = this.draft.points.at(-1)
      if (!last || !near(pane, last, event.position)) this.draft.points.push(at)
      if (this.tool === "point") this.finishDraft()
      else this.placeMarks(pane)
    }
  }

  doubleClick(pane, event) {
    if (this.tool === "polygon" && this.draft?.isWhole) this.finishDraft()
    else if (this.tool === "hand") {
      const viewport = pane.viewer.viewport
      viewport.zoomBy(2, viewport.pointFromPixel(event.position))
      viewport.applyConstraints()
    }
  }

  /** Keys while a mark is being made. */
  draftKey(key) {
    if (this.tool === "hand") return false
    const pane = this.active
    if (key === "Enter" && this.tool === "polygon" && this.draft?.isWhole) this.finishDraft()
    else if (key === " " || key === "Enter") {
      if (!this.draft) this.draft = new Draft(pane, this.tool)
      const { x, y } = pane.view
      this.draft.points.push([x, y])
      if (this.tool !== "polygon" && this.draft.isWhole) this.finishDraft()
      else this.placeMarks(pane)
    } else if (key === "Backspace" && this.draft) {
      this.draft.points.pop()
      if (!this.draft.points.length) this.dropDraft()
      this.placeMarks(pane)
    } else return false
    return true
  }

  finishDraft() {
    const { pane, geometry, tool } = this.draft
    this.draft = null
    const mark = { id: uuid(), slide_id: pane.slide.slide_id, geometry, is_rectangle: tool === "rectangle", label: "", note: "", author: "", at: "" }
    this.pending.push(mark)
    this.setTool("hand")
    this.edit(pane, mark, true)
  }

  dropDraft() {
    const pane = this.draft?.pane
    this.draft = null
    if (pane) this.placeMarks(pane)
  }

  select(mark) {
    const pane = this.panes.find(one => this.marksOf(one).some(other => other.id === mark.id))
    if (pane) this.edit(pane, mark, false)
  }

  edit(pane, mark, isNew) {
    this.dropUnsaved()
    this.selected = mark
    this.form.element.dataset.side = this.isLeft(pane, mark) ? "right" : "left"
    const shown = isNew ? { ...mark, id: null } : mark
    this.form.open(shown, {
      mpp: pane.info.mpp,
      canEdit: this.data.can_mark,
      onSave: (label, note) => this.save(pane, { ...mark, label, note }),
      onRemove: isNew ? null : () => this.remove(mark),
      onClose: () => this.stop(),
    })
    this.unsaved = isNew ? mark : null
    this.refresh()
  }

  /** Whether a mark lies in the left half of the viewer, so that its form belongs on the right. */
  isLeft(pane, mark) {
    const { x, y, width, height } = boundsOf(mark.geometry)
    const offset = pane.element.getBoundingClientRect().left - this.host.getBoundingClientRect().left
    return offset + pane.toScreen([x + width / 2, y + height / 2]).x < this.host.clientWidth / 2
  }

  save(pane, mark) {
    this.unsaved = null
    this.pending = [...this.pending.filter(other => other.id !== mark.id), { ...mark, author: mark.author || "saving ...", slide_id: pane.slide.slide_id }]
    const { id, geometry, is_rectangle, label, note } = mark
    this.outbox.post("mark", { slide_id: pane.slide.slide_id, mark: { id, geometry, is_rectangle, label, note } })
    this.stop()
    this.focusStage()
    this.say("Annotation saved")
  }

  remove(mark) {
    this.gone.add(mark.id)
    this.pending = this.pending.filter(other => other.id !== mark.id)
    this.outbox.post("unmark", { slide_id: this.active.slide.slide_id, mark: { id: mark.id } })
    this.stop()
    this.say("Annotation removed")
  }

  removeSelected() {
    if (this.selected && this.data.can_mark && this.selected !== this.unsaved) this.remove(this.selected)
  }

  dropUnsaved() {
    if (this.unsaved) this.pending = this.pending.filter(mark => mark !== this.unsaved && mark.id !== this.unsaved.id)
    this.unsaved = null
  }

  /** Escape: whatever is begun ends. */
  stop() {
    this.dropUnsaved()
    this.selected = null
    this.form.close()
    if (!this.help.hidden) this.toggleHelp()
    if (this.tool !== "hand") this.setTool("hand")
    else this.dropDraft()
    this.refresh()
  }
}

function near(pane, point, position) {
  const at = pane.toScreen(point)
  return Math.hypot(at.x - position.x, at.y - position.y) <= 8
}

/** A random UUID, also where the page is not a secure context. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join("")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
