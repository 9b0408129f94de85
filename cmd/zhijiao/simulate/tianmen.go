package simulate

// Office is a judicial office of the demo: the 26 township-level units of Tianmen by name, with the office placed
// roughly, by hand, to a hundredth of a degree. Not official, and nowhere near good enough for a rule.
type Office struct {
	Town
	Short string
}

// TianmenOffices are the demo's 26 judicial offices.
func TianmenOffices() []Office {
	place := func(name, short string, lon, lat float64) Office {
		return Office{Town{name, lon, lat}, short}
	}
	return []Office{
		place("竟陵司法所", "竟陵", 113.16, 30.66), place("侨乡司法所", "侨乡", 113.13, 30.65), place("杨林司法所", "杨林", 113.22, 30.65),
		place("多宝司法所", "多宝", 112.70, 30.69), place("拖市司法所", "拖市", 112.82, 30.69), place("张港司法所", "张港", 112.84, 30.58),
		place("蒋场司法所", "蒋场", 112.92, 30.63), place("汪场司法所", "汪场", 113.00, 30.62), place("渔薪司法所", "渔薪", 112.96, 30.70),
		place("黄潭司法所", "黄潭", 113.06, 30.67), place("岳口司法所", "岳口", 113.10, 30.55), place("横林司法所", "横林", 113.22, 30.56),
		place("彭市司法所", "彭市", 113.18, 30.48), place("麻洋司法所", "麻洋", 113.28, 30.48), place("多祥司法所", "多祥", 113.36, 30.46),
		place("干驿司法所", "干驿", 113.40, 30.53), place("马湾司法所", "马湾", 113.33, 30.58), place("卢市司法所", "卢市", 113.39, 30.65),
		place("小板司法所", "小板", 113.27, 30.63), place("九真司法所", "九真", 113.17, 30.78), place("皂市司法所", "皂市", 113.26, 30.80),
		place("胡市司法所", "胡市", 113.36, 30.75), place("石家河司法所", "石家河", 113.09, 30.76), place("佛子山司法所", "佛子山", 113.02, 30.75),
		place("净潭司法所", "净潭", 113.42, 30.63), place("沉湖司法所", "沉湖", 113.39, 30.47),
	}
}

// TianmenOutside are places beyond the city that people of the demo go to when they leave it, again placed roughly.
func TianmenOutside() []Town {
	return []Town{{"仙桃", 113.44, 30.36}, {"潜江", 112.88, 30.43}, {"京山", 113.10, 31.00}, {"应城", 113.58, 30.93}, {"汉川", 113.75, 30.66}, {"钟祥", 112.55, 31.05}}
}

// DemoKeepOut is the demo's prohibited place: a circle in town.
var DemoKeepOut = struct {
	Town
	RadiusM float64
}{Town{"东湖夜市（演示）", 113.185, 30.655}, 350}

// DemoConcern is a place where people should not stay for long.
var DemoConcern = Town{"北门棋牌室（演示）", 113.150, 30.690}

var (
	surnames = []rune("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗")
	given    = []rune("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂")
)

// InventedName is the name of a person who does not exist.
func InventedName(n int) (surname, full string) {
	s := surnames[n*7%len(surnames)]
	g := given[n*13%len(given)]
	if n%3 == 0 {
		return string(s), string(s) + string(g)
	}
	return string(s), string(s) + string(g) + string(given[(n*5+3)%len(given)])
}

// InventedIDNumber has the shape of a resident identity number and a wrong check digit (GB 11643), so that it can be
// nobody's (R120).
func InventedIDNumber(n int) string {
	body := []byte("42900619700101000")
	for i, k := 16, n%1000; i >= 14; i, k = i-1, k/10 {
		body[i] = byte('0' + k%10)
	}
	body[9] = byte('0' + n/1000%10)
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(body[i]-'0') * w
	}
	right := "10X98765432"[sum%11]
	wrong := byte('0' + (n % 10))
	if wrong == right {
		wrong = byte('0' + (n+1)%10)
	}
	return string(body) + string(wrong)
}
