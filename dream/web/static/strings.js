/* What the page says, in English and Chinese. The language of lines stays as it is. */

import { toChinese } from "./messages.js";

const STRINGS = {
  en: {
    skip: "Skip to the line", model: "Model", pause: "Pause", resume: "Resume", theme: "Theme", help: "Help",
    composer: "Line", line: "What to make", placeholder: "a red circle on blue -n2", make: "Make", add: "Add an image…",
    options: "Options", keys: "Enter makes · Tab completes · ↑ earlier lines", answer: "Answer", close: "Close", now: "Now",
    cancel: "Cancel", queue: "Queue", notes: "Messages", gallery: "Gallery", empty: "Images appear here.", newer: "Newer",
    older: "Older", "mask-title": "Paint what to make anew", brush: "Brush", eraser: "Eraser", size: "Size", undo: "Undo",
    invert: "Invert", "zoom-out": "Zoom out", "zoom-in": "Zoom in", "use-mask": "Use this mask",
    "mask-keys": "[ and ] size · E eraser · Z undo · I invert · + and − zoom · arrow keys and Space paint · two fingers move",
    drop: "Drop the image: use it, or read how it was made", up: "Earlier", down: "Later", remove: "Cancel this line",
    again: "Make again", edit: "Edit its line", vary: "Variations", "upscale-2": "Upscale ×2", "upscale-4": "Upscale ×4",
    from: "Start from it", mask: "Paint a mask", fix: "Process…", verify: "Verify", info: "Details", download: "Download",
    delete: "Delete…", "ask-delete": "Delete {0}? Its line stays in the log, so that it can be made again.",
    "yes-delete": "Delete", no: "Cancel", "ask-image": "What should happen with this image?", "use-image": "Start from it (-I)",
    "read-image": "Read how it was made", "draw-mask": "Paint a mask on it", "no-record": "This image does not record how it was made.",
    loading: "Loading {0} …", image: "image {0} of {1}", step: "{0} {1}/{2}", left: "{0} left", starting: "Starting …",
    cancelled: "Cancelled: {0}", verified: "{0}: the same, bit for bit", near: "{0}: the same within rounding",
    differs: "{0}: differs", offline: "dream does not answer. This page reconnects by itself.", memory: "{0} in memory",
    steps: "Steps", cfg_scale: "Guidance", iterations: "Images", dimensions: "Size", seed: "Seed", sampler: "Sampler",
    upscale: "Upscale", strength: "Strength of change", seamless: "Seamless tile", lora: "LoRA", hires_fix: "Two passes (hires fix)",
    automatic: "automatic", random: "random", negative: "Avoid",
    page: "dream", "left-lines": "Unfinished when dream ended: {0}",
    "run-left": "Make them now", "discard-left": "Discard", offers: "Completions",
    "no-image": "This image cannot be opened.", "no-sentence": "The server answered {0} and gave no reason.",
    "stage-render": "step", "fact-format": "format", "fact-tool": "tool", "fact-seconds": "seconds",
  },
  zh: {
    skip: "跳到输入行", model: "模型", pause: "暂停", resume: "继续", theme: "主题", help: "帮助",
    composer: "输入行", line: "想生成什么", placeholder: "a red circle on blue -n2", make: "生成", add: "添加图片…",
    options: "选项", keys: "回车生成 · Tab 补全 · ↑ 之前的行", answer: "回答", close: "关闭", now: "正在生成",
    cancel: "取消", queue: "队列", notes: "消息", gallery: "图库", empty: "图片会显示在这里。", newer: "较新",
    older: "较旧", "mask-title": "涂抹要重新生成的部分", brush: "画笔", eraser: "橡皮", size: "大小", undo: "撤销",
    invert: "反转", "zoom-out": "缩小", "zoom-in": "放大", "use-mask": "使用此蒙版",
    "mask-keys": "[ 和 ] 大小 · E 橡皮 · Z 撤销 · I 反转 · + 和 − 缩放 · 方向键和空格涂抹 · 双指移动",
    drop: "放下图片：使用它，或读取它的生成方式", up: "提前", down: "推后", remove: "取消此行",
    again: "再次生成", edit: "编辑它的行", vary: "变体", "upscale-2": "放大 ×2", "upscale-4": "放大 ×4",
    from: "以它为起点", mask: "绘制蒙版", fix: "处理…", verify: "验证", info: "详情", download: "下载",
    delete: "删除…", "ask-delete": "删除 {0}？它的行保留在日志中，可以再次生成。",
    "yes-delete": "删除", no: "取消", "ask-image": "如何使用这张图片？", "use-image": "以它为起点（-I）",
    "read-image": "读取它的生成方式", "draw-mask": "在上面绘制蒙版", "no-record": "这张图片没有记录生成方式。",
    loading: "正在加载 {0} …", image: "第 {0} 张，共 {1} 张", step: "{0} {1}/{2}", left: "剩余 {0}", starting: "正在开始 …",
    cancelled: "已取消：{0}", verified: "{0}：逐位相同", near: "{0}：在舍入范围内相同",
    differs: "{0}：不同", offline: "dream 没有响应。本页会自动重新连接。", memory: "内存中 {0}",
    steps: "步数", cfg_scale: "引导强度", iterations: "张数", dimensions: "尺寸", seed: "种子", sampler: "采样器",
    upscale: "放大", strength: "改变强度", seamless: "无缝平铺", lora: "LoRA", hires_fix: "两次生成（hires fix）",
    automatic: "自动", random: "随机", negative: "避免",
    page: "dream", "left-lines": "上次结束时未完成：{0}",
    "run-left": "现在生成", "discard-left": "丢弃", offers: "补全",
    "no-image": "无法打开这张图片。", "no-sentence": "服务器返回 {0}，没有说明原因。",
    "stage-render": "步骤", "stage-outcrop": "扩展画面", "stage-outpaint": "移动画面", "stage-embiggen": "分块放大",
    "stage-faces": "修复人脸", "stage-upscale": "放大", "stage-watermark": "加水印", "stage-fetch": "下载",
    "fact-format": "格式", "fact-tool": "工具", "fact-seconds": "秒",
  },
};

const KEY = "dream.language";

function choose() {
  const stored = localStorage.getItem(KEY);
  if (stored in STRINGS) return stored;
  const first = navigator.languages.find((name) => /^(en|zh)\b/i.test(name)) || "en";
  return first.slice(0, 2).toLowerCase();
}

let language = choose();

export const t = (key, ...values) =>
  (STRINGS[language][key] ?? key).replace(/\{(\d)\}/g, (_, n) => values[n] ?? "");

/* A word of the server's, of a kind: a stage, or a fact of an image. Most are the same in English. */
export const word = (kind, name) => STRINGS[language][`${kind}-${name}`] ?? name;

/* A sentence that the server said. */
export const localize = (text) => (language === "zh" ? toChinese(text) : text);

export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
}

export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  localStorage.setItem(KEY, language);
}

export const otherLanguage = () => (language === "en" ? ["中文", "zh-Hans"] : ["English", "en"]);
