/* dream's own sentences in Chinese: those that a page shows most often. The server speaks English to
   every client; what is not in this table stays as it is. */

const NUMBER = "(-?[\\d.,]+)";

/* What a switch takes. */
const VALUES = [
  [`a whole number from ${NUMBER} to ${NUMBER}`, " $1 到 $2 之间的整数"],
  [`a whole number from ${NUMBER} to ${NUMBER}, or -1 for the last image's seed, -2 for the one before`,
    " $1 到 $2 之间的整数，或 -1 表示上一张图像的种子，-2 表示再前一张的"],
  [`a number from ${NUMBER} to ${NUMBER}`, " $1 到 $2 之间的数"],
  [`a number above ${NUMBER}, up to ${NUMBER}`, "大于 $1、不超过 $2 的数"],
  [`a number of at least ${NUMBER}`, "不小于 $1 的数"],
  [`no value, which is ${NUMBER}, or a number from 0(?: \\(off\\))? to 1`, "不带值（即 $1），或 0 到 1 之间的数"],
  ["one of ([^,]+)", "以下之一：$1"],
  ["an image file, or -1 for the last image, -2 for the one before", "图像文件，或 -1 表示上一张图像，-2 表示再前一张"],
  ["names of LoRAs, each with a weight if it is not 1, such as ink:0.8", "LoRA 的名称，权重不是 1 时写上权重，例如 ink:0.8"],
  ["a model's name or folder", "模型的名称或文件夹"],
  ["an upscaler's name or file", "放大模型的名称或文件"],
  ["a factor from 1 to 8 and optionally a strength from 0 to 1", " 1 到 8 的倍数，还可以加上 0 到 1 的强度"],
  ["seeds, each with a weight from 0 to 1, such as (.+)", "种子，各带 0 到 1 的权重，例如 $1"],
  ["an image file", "图像文件"], ["a prompt", "提示词"], ["a folder", "文件夹"], ["no value", "不带值"],
];

/* Whole sentences, and the hints after them. @1 is the first group by VALUES; a row
   whose value is in none of them does not fit. */
const SENTENCES = [
  [`${NUMBER} images?, (\\d\\S+(?: → \\S+)?), (\\d+) steps?`, "$1 张图像，$2，$3 步"],
  [`${NUMBER} images?, (\\d\\S+(?: → \\S+)?)`, "$1 张图像，$2"],
  ["(\\S+) takes no value", "$1 不带值"],
  ["(\\S+) takes (.+), not “(.+)”", "$1 的值应为@2，而不是“$3”"],
  ["(\\S+) takes (.+), but nothing follows", "$1 的值应为@2，但后面没有内容"],
  ["(\\S+) takes (.+), but only (.+) follows", "$1 的值应为@2，但后面只有 $3"],
  ["(\\S+) takes (.+)", "$1 的值应为@2"],
  ["“(.+)” is not a switch", "“$1”不是开关"],
  ["“(.+)” is not a switch: a switch begins with an ASCII -", "“$1”不是开关：开关以半角 - 开头"],
  ["“(.+)”: a list of values has ASCII commas", "“$1”：值的列表要用半角逗号"],
  ["(.+): text is quoted with an ASCII \"", "$1：文字要用半角引号 \""],
  ["a command begins with an ASCII !", "命令以半角 ! 开头"],
  ["“(.+)” is not a command", "“$1”不是命令"],
  ["“(.+)” could be any of (.+)", "“$1”可能是其中任何一个：$2"],
  ["did you mean (\\S+)\\?", "是不是 $1？"],
  ["if it belongs to the prompt, put the prompt in quotes", "如果它属于提示词，请给提示词加引号"],
  ["did you mean (\\S+)\\? if it belongs to the prompt, put the prompt in quotes",
    "是不是 $1？如果它属于提示词，请给提示词加引号"],
  ["a space is missing between the quote and the switch", "引号和开关之间缺一个空格"],
  ["this quote is never closed", "这个引号没有闭合"],
  ["only double quotes join words", "只有双引号能把几个词合在一起"],
  ["“(.+)” follows the quoted prompt", "“$1”出现在带引号的提示词之后"],
  ["“(.+)” follows the switches", "“$1”出现在开关之后"],
  ["the prompt comes first; put a value with spaces in double quotes", "提示词在最前面；含空格的值放在双引号中"],
  ["quote the whole prompt, and write \\\\\" for a quote inside it", "给整个提示词加引号，其中的引号写作 \\\""],
  ["put a \" at the end", "请在末尾加上 \""],
  ["there is no model \"(.+)\" in .+", "没有名为“$1”的模型"],
  ["--(\\S+) “(.+)” is not listed here", "--$1 “$2”不在列表中"],
  ["see (/api/models|!models)", "参见 !models"],
  ["“(.+)” is not an image of this gallery", "“$1”不是此图库中的图像"],
  ["upload it first", "请先上传"],
  [`${NUMBER} images are too many at once`, "一次 $1 张太多"],
  ["at most (\\d+) million pixels", "最多 $1 百万像素"],
  ["at most (\\d+)", "最多 $1"],
  ["(\\d+x\\d+) is too large", "$1 太大"],
  ["(\\S+) would become (\\S+), (\\d+) million pixels", "$1 会变成 $2，即 $3 百万像素"],
  ["(\\d+) million is the maximum", "最多 $1 百万"],
  ["-o is outside the folder of this server", "-o 在此服务器的文件夹之外"], ["use (\\S+)", "请用 $1"],
  ["(!\\S+) is available at the prompt only", "$1 只能在终端提示符中使用"],
  ["-V needs a seed", "-V 需要种子"], ["add -S", "请加上 -S"],
  ["there is no image for -S(-\\d+) in this session \\((.+)\\)", "本次会话中没有 -S$1 所指的图像"],
  ["too many jobs are waiting", "等待的任务太多"],
  ["there is no such image", "没有这张图像"],
  ["there is no job (\\d+)", "没有任务 $1"],
  ["the image was cancelled", "图像已取消"],
  ["the form cannot be read: (.+)", "无法读取表单：$1"],
  ["the body is larger than (\\d+) MiB", "上传内容超过 $1 MiB"],
  ["not enough memory for (\\d+x\\d+) pixels, even sliced", "内存不足，无法生成 $1 像素，分片也不行"],
  ["use a smaller -W and -H, or --precision float16 or bfloat16", "请减小 -W 和 -H，或用 --precision float16 或 bfloat16"],
  ["(width|height) (\\d+) becomes (\\d+): the model needs multiples of (\\d+)", "$1 从 $2 变为 $3：模型要求是 $4 的倍数"],
  ["(\\S+) does not know (.+); it knows (.+) …; see !help \\S+", "$1 不认识 $2；它认识 $3 …；参见 !help $1"],
  ["(.+) is partly transparent; the transparency is ignored", "$1 有透明部分；透明度被忽略"],
  ["prompt too long for (\\S+); ignored: (.+)", "提示词对 $1 太长；被忽略：$2"],
  ["(\\S+) ignored: no face is restored \\(-G\\)", "$1 被忽略：没有修复人脸（-G）"],
  ["(\\S+) and (\\S+) ignored: no face is restored \\(-G\\)", "$1 和 $2 被忽略：没有修复人脸（-G）"],
  ["-cf ignored: (.+) has no fidelity, only codeformer has", "-cf 被忽略：只有 codeformer 有保真度，$1 没有"],
  ["(\\S+) ignored: nothing is enlarged in tiles \\(-embiggen\\)", "$1 被忽略：没有分块放大（-embiggen）"],
  ["(\\S+) ignored: nothing is upscaled \\(-U\\)", "$1 被忽略：没有放大（-U）"],
  ["(\\S+) is ignored: there is no input image \\(-I\\)", "$1 被忽略：没有输入图像（-I）"],
  ["(\\S+) ignored: there is no control image \\(--control\\)", "$1 被忽略：没有控制图像（--control）"],
  ["no face was found; the image is unchanged", "没有找到人脸；图像不变"],
];

const whole = (rows) => rows.map(([pattern, words]) => [new RegExp(`^${pattern}$`, "s"), words]);
const values = whole(VALUES), sentences = whole(SENTENCES);

/* The translation by the first row that fits; undefined if none does. */
function find(rows, text) {
  for (const [pattern, words] of rows) {
    const groups = pattern.exec(text);
    const read = groups?.map((group, n) => (words.includes(`@${n}`) ? find(values, group) : group));
    if (read && !read.includes(undefined)) return words.replace(/[$@](\d)/g, (_, n) => read[n]);
  }
  return undefined;
}

/* A sentence of dream's in Chinese: whole, or a message with its hint, or several after “; ”. */
export function toChinese(text) {
  const place = /^column (\d+): (.+)$/s.exec(text);
  if (place) return `第 ${place[1]} 列：${toChinese(place[2])}`;
  const found = find(sentences, text);
  if (found !== undefined) return found;
  const hint = /^(.+?) \((.+)\)$/s.exec(text), message = hint && find(sentences, hint[1]);
  if (message) return `${message}（${toChinese(hint[2])}）`;
  for (let at = text.indexOf("; "); at > 0; at = text.indexOf("; ", at + 2)) {
    const first = find(sentences, text.slice(0, at));
    if (first) return `${first}；${toChinese(text.slice(at + 2))}`;
  }
  return text;
}
