//! Names of people, places and goods: common ones, in kanji, kana and Latin letters.

/// A name as it is written, as it is read, and in Latin letters.
pub(crate) type Name = (&'static str, &'static str, &'static str);

/// Common family names.
pub(crate) const FAMILIES: [Name; 32] = [
    ("佐藤", "サトウ", "sato"),
    ("鈴木", "スズキ", "suzuki"),
    ("高橋", "タカハシ", "takahashi"),
    ("田中", "タナカ", "tanaka"),
    ("伊藤", "イトウ", "ito"),
    ("渡辺", "ワタナベ", "watanabe"),
    ("山本", "ヤマモト", "yamamoto"),
    ("中村", "ナカムラ", "nakamura"),
    ("小林", "コバヤシ", "kobayashi"),
    ("加藤", "カトウ", "kato"),
    ("吉田", "ヨシダ", "yoshida"),
    ("山田", "ヤマダ", "yamada"),
    ("佐々木", "ササキ", "sasaki"),
    ("山口", "ヤマグチ", "yamaguchi"),
    ("松本", "マツモト", "matsumoto"),
    ("井上", "イノウエ", "inoue"),
    ("木村", "キムラ", "kimura"),
    ("林", "ハヤシ", "hayashi"),
    ("斎藤", "サイトウ", "saito"),
    ("清水", "シミズ", "shimizu"),
    ("山崎", "ヤマザキ", "yamazaki"),
    ("森", "モリ", "mori"),
    ("池田", "イケダ", "ikeda"),
    ("橋本", "ハシモト", "hashimoto"),
    ("阿部", "アベ", "abe"),
    ("石川", "イシカワ", "ishikawa"),
    ("前田", "マエダ", "maeda"),
    ("藤田", "フジタ", "fujita"),
    ("小川", "オガワ", "ogawa"),
    ("岡田", "オカダ", "okada"),
    ("後藤", "ゴトウ", "goto"),
    ("長谷川", "ハセガワ", "hasegawa"),
];

/// Common given names.
pub(crate) const GIVEN: [Name; 32] = [
    ("陽菜", "ヒナ", "hina"),
    ("蓮", "レン", "ren"),
    ("葵", "アオイ", "aoi"),
    ("湊", "ミナト", "minato"),
    ("結衣", "ユイ", "yui"),
    ("大翔", "ヒロト", "hiroto"),
    ("さくら", "サクラ", "sakura"),
    ("悠真", "ユウマ", "yuma"),
    ("美咲", "ミサキ", "misaki"),
    ("翔太", "ショウタ", "shota"),
    ("愛", "アイ", "ai"),
    ("健太", "ケンタ", "kenta"),
    ("恵", "メグミ", "megumi"),
    ("大輔", "ダイスケ", "daisuke"),
    ("裕子", "ユウコ", "yuko"),
    ("誠", "マコト", "makoto"),
    ("直美", "ナオミ", "naomi"),
    ("浩", "ヒロシ", "hiroshi"),
    ("久美子", "クミコ", "kumiko"),
    ("隆", "タカシ", "takashi"),
    ("明美", "アケミ", "akemi"),
    ("修", "オサム", "osamu"),
    ("幸子", "サチコ", "sachiko"),
    ("茂", "シゲル", "shigeru"),
    ("千尋", "チヒロ", "chihiro"),
    ("拓也", "タクヤ", "takuya"),
    ("彩", "アヤ", "aya"),
    ("亮", "リョウ", "ryo"),
    ("麻衣", "マイ", "mai"),
    ("和也", "カズヤ", "kazuya"),
    ("由美", "ユミ", "yumi"),
    ("純", "ジュン", "jun"),
];

/// Prefectures, the big ones more than once.
pub(crate) const PREFECTURES: [&str; 12] = [
    "東京都",
    "東京都",
    "神奈川県",
    "大阪府",
    "愛知県",
    "埼玉県",
    "千葉県",
    "兵庫県",
    "北海道",
    "福岡県",
    "静岡県",
    "京都府",
];

/// Something sold: stock number, name, price in yen.
pub(crate) type Good = (&'static str, &'static str, u64);

/// What a retailer sells.
pub(crate) const GOODS: [Good; 16] = [
    ("SKU-1001", "リネンシャツ", 6_900),
    ("SKU-1002", "デニムパンツ", 8_900),
    ("SKU-1003", "ウールコート", 29_800),
    ("SKU-1004", "コットンTシャツ", 2_900),
    ("SKU-1005", "ニットカーディガン", 7_900),
    ("SKU-2001", "レザースニーカー", 12_800),
    ("SKU-2002", "レインブーツ", 5_900),
    ("SKU-3001", "トートバッグ", 4_900),
    ("SKU-3002", "折りたたみ傘", 3_300),
    ("SKU-3003", "革財布", 14_800),
    ("SKU-4001", "ハンドクリーム", 1_650),
    ("SKU-4002", "アロマキャンドル", 3_850),
    ("SKU-5001", "マグカップ", 1_980),
    ("SKU-5002", "今治タオル3枚組", 4_400),
    ("SKU-5003", "琺瑯鍋 20cm", 9_900),
    ("SKU-6001", "煎茶 100g", 1_296),
];

/// What a seller to companies sells: plan number, name, price in yen a month.
pub(crate) const PLANS: [Good; 6] = [
    ("PLAN-S", "スタータープラン", 9_800),
    ("PLAN-T", "チームプラン", 49_800),
    ("PLAN-E", "エンタープライズプラン", 298_000),
    ("ADD-API", "API 連携オプション", 20_000),
    ("ADD-SSO", "シングルサインオン", 15_000),
    ("SVC-ON", "導入支援", 350_000),
];

/// Pages of the web shop.
pub(crate) const PAGES: [&str; 8] =
    ["/", "/new", "/women", "/men", "/living", "/sale", "/stores", "/journal/spring-linen"];

/// What people type into the search box.
pub(crate) const SEARCHES: [&str; 8] = [
    "リネン シャツ",
    "母の日 ギフト",
    "レインブーツ",
    "トートバッグ 大きめ",
    "革財布",
    "sneakers",
    "今治タオル",
    "春コート",
];

/// What people call or write about.
pub(crate) const TOPICS: [&str; 6] = ["配送状況", "返品・交換", "ポイント", "サイズ", "会員登録", "領収書"];

/// Words that companies are called by.
pub(crate) const COMPANIES: [(&str, &str); 12] = [
    ("あおば商事", "aoba"),
    ("みなと物流", "minato"),
    ("北星製作所", "hokusei"),
    ("さくら食品", "sakura-foods"),
    ("東洋精機", "toyo-seiki"),
    ("ひかり電設", "hikari"),
    ("山手不動産", "yamate"),
    ("瀬戸内造船", "setouchi"),
    ("富士見ホテル", "fujimi"),
    ("若葉薬品", "wakaba"),
    ("大和建設", "yamato"),
    ("はやぶさ通信", "hayabusa"),
];
