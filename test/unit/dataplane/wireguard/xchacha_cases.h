/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XChaCha20-Poly1305 as data: the draft's own vector (draft-arciszewski-xchacha-02, A.1) and edge
 * cases of Poly1305. Chosen from Wycheproof's xchacha20_poly1305_test.json (github.com/C2SP/
 * wycheproof, commit dac1dd4); the number is its tcId.
 */
#pragma once

static const struct {
	unsigned number;
	const char *key, *nonce, *aad, *plain, *sealed;
} xchacha_cases[] = {
	{
		.number = 1,
		.key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
		.nonce = "404142434445464748494a4b4c4d4e4f5051525354555657",
		.aad = "50515253c0c1c2c3c4c5c6c7",
		.plain = "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66"
			 "202739393a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e6520"
			 "74697020666f7220746865206675747572652c2073756e73637265656e20776f756c6420"
			 "62652069742e",
		.sealed = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b"
			  "0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945"
			  "b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f6"
			  "15c68b13b52ec0875924c1c7987947deafd8780acf49",
	},
	{
		.number = 2,
		.key = "ab1562faea9f47af3ae1c3d6d030e3af230255dff3df583ced6fbbcbf9d606a9",
		.nonce = "6a5e0c4617e07091b605a4de2c02dde117de2ebd53b23497",
		.aad = "",
		.plain = "",
		.sealed = "e2697ea6877aba39d9555a00e14db041",
	},
	{
		.number = 206,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f101112133e8775b2",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "7ee395bd21ada42ed12310d34918a28e596a49ee7a22f623d756b896663f68733e6c71a3"
			 "44f4726ac24e330679f25e492be08603aaa23f1e88c10299047c8e585983332a8b6eadcd"
			 "9b6061b63fe3b58a2021b38c7cf379fe9a9f6d114f3cfe422f91af78c6fd87d4269af0e3"
			 "e471abed457ae75c027e134c96cf4d9a4a646288",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffff4921f7c24a2d42f4da7ad9d45e8ec26c",
	},
	{
		.number = 207,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f1011121303e9b9a4",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "af205bda819f7451be0f28667d4b01b59ff2daa8173cab52046c3c9e0d989889c5e021ef"
			 "7afd06e9ce6cc30e3a6ebab509134ba10d10e570c55587c13eee53e73be54804c8539ffb"
			 "f23b35922b1ca37b9e9bc24ee204837ca5a294ce05d12600c7eff6aee32270db2feff47d"
			 "c5a04176169e15850628e6035f78994f9f56035c",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffb86b0a8e9427af3516950efc81d935d5",
	},
	{
		.number = 208,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f101112130700b982",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "68c67272036fb652a0182eeb4781358e4704a4a702fd731bf3b3ea994717989e7d9104e0"
			 "ae81732a8c7e9a82b3d31d541761a366b67c3396f1a6c67e293ddb65a59e42541dda144d"
			 "c6c78388cfca982e23350958ac5b3d54a1722fd64733577862e1879c9e9445ebdec5315d"
			 "1706db7ebbedd4c779935e72057e5b0ecde0814d",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffff3661dc6ddd1852221050ff5b8d58c13f",
	},
	{
		.number = 209,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f10111213019836bb",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "c483b7334ebe2e879b0c3f9db4fcd9f5219062360d6ce44cdae0f94e04c8345ea7e3ae33"
			 "855118741dcafe0de4ae98c4e43af7b12b04ee8ab175625823ac040e5abac4403f1d4523"
			 "8adcb8c0cf44bd56917f9f5d93974c82b56951986a9c0450bd9047b5a616e814526ad058"
			 "0e3ecd8189c9fef2cdb979a22ad3a01930fbd15e",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffff02c70e4defe897a47a65063a468db630",
	},
	{
		.number = 210,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f101112133f1a8eb1",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "85e40e2106db6aba0fb236d3c980a72e58ce538db7aa3b0326a23d52175c7465c454d820"
			 "6b4d8aedd51d8cc47424f6124d2586370f4eb51153d215e48347abf8791a6d6d3da4871a"
			 "b2c0fe5718878c3942365fc75887e6ea6e779911f883fe90b6c0e5870769a860cf619f91"
			 "c7eeaad69212325404ec4de4d3ab5e7aa89537a4",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffecccb94178b76a769c91c27d921fcc6c",
	},
	{
		.number = 211,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f101112130552a411",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "eaccaa778935ef249e0900149dd889462d2a061486ba102b8caebe465f3959fb3119ebb5"
			 "689676ffdd6d851a26739e772b54a2f5f473ea9c7e58ccbc4cfc953e8c420b2175d9dd51"
			 "9265630bb79bd87a601b113231a8b16ce54c331347ec04c2b1c9160f38207aa46e96feb0"
			 "6dee883eb422fa14908df300bb1a1ef758c408f5",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"fffffffffffffffffffffffffffffffffffffffff00ee0097d7dffbd3e4b216c45da89ef",
	},
	{
		.number = 212,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f101112130c807a72",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "a76c330e015060a17e64cb7b6d753f201f75be8759fd7539fb92b22aef54c9d3029dba0c"
			 "15cbf7c95135888319c6b2e6276da21e0c351fd522b29aabb5883a3291d6f427de773b12"
			 "4390ef6fd96621ffbc42dfbf7a34da272cbc9ccb1a498d078033d1ac3bf7e92715948b06"
			 "d69d5c5039e9164ba9c3a02219ec5908206b3bd2",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffff8691693787763ec6c7bf957658b51370",
	},
	{
		.number = 213,
		.key = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f",
		.nonce = "000102030405060708090a0b0c0d0e0f101112130397a143",
		.aad = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		       "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		.plain = "228a7e15bcce13051de9145f77f7f4ff7921828b4f99efc4ff55ee0d9344955b69ec2d47"
			 "98b0517f0273c4456ae5ffc5929cbe74ddb0da51d4f2b4df7578a31240c88ae922c3c5ec"
			 "a7b97d72d497062050a587447c562b343d5c71921944872f9fd06b8f34b3eb5d4341f5ff"
			 "8a907dd7c2e1676b81252726ba54814da51eab8c",
		.sealed =
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"ffffffffffffffffffffffffffffffffffffffff7fc8d4bb91c543b9bf5dbf1e7277d823",
	},
	{
		.number = 216,
		.key = "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
		.nonce = "000102030405060708090a0b0c0d0e0f1011121314151617",
		.aad = "abffffffffffffffffffffffffffffff5a20e89e14ed5af85da66b5e4bdbe002",
		.plain = "660336ffb732a4dcda556c2539d3d2de6cdaed0d7d9104593f8ed69bf0db8aa33c0e7464"
			 "82b7dc53d40b8a5331ca33b874639cdc7a787badd436bcd56e798af3",
		.sealed = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff0001020304050607"
			  "08090a0b0c0d0e0f",
	},
	{
		.number = 223,
		.key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		.nonce = "000102030405060708090a0b0c0d0e0f101112130bc672c3",
		.aad = "ffffffff",
		.plain = "ceb62cbb6fdf40d883c45cb4b0a82da13e4866c40629725ae6d371e4d8ad3a8f0cc55328"
			 "7840e73cc66c3066e115108b995d6f8990f1b8db1b0c1d14b5157441789895de7fe538ac"
			 "f5c6ceb56e54a73d",
		.sealed = "113caf3ebbe98a82548702641e4b4fbaffffffffffffffffffffffffffffffff3708d0f8"
			  "f5cf1fea3d966ff22dac4cf1ffffffffffffffffffffffffffffffff3708d0f8f5cf1fea"
			  "3d966ff22dac4cf1e0f1d382b53c44a2e7228920468fc301",
	},
};

enum { XCHACHA_CASES = sizeof(xchacha_cases) / sizeof(xchacha_cases[0]) };
